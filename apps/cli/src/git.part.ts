/** Git on loopback: serves the demo project as a real remote. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { homePath, ROOT, type Machine } from './home.js';
import type { PartSpec } from './part.js';

const REPOSITORY = 'demo-project.git';

/** Where projects fetch the demo from. */
export const demoProjectUrl = (port: number): string => `git://127.0.0.1:${port}/${REPOSITORY}`;

/** The daemon as a part; makes the repository, or brings it up to date with examples/demo-project. */
export const gitPart = (git: Machine['git'], port: number): PartSpec => {
  const base = homePath('git');
  publishDemo(git.command, join(base, REPOSITORY));
  return {
    name: 'git',
    command: git.daemon,
    args: [
      '--listen=127.0.0.1',
      `--port=${port}`,
      `--base-path=${base}`,
      '--export-all',
      '--reuseaddr',
      '--informative-errors',
      base,
    ],
    // The repository belongs to whoever set it up, which git would refuse to serve to another user.
    env: { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
    ready: () =>
      new Promise((resolve, reject) => {
        const socket = connect({ port, host: '127.0.0.1' }, () => {
          socket.destroy();
          resolve();
        });
        socket.once('error', reject);
      }),
  };
};

/** Commits the example as it is now, unless it is the same as the last time. Dates are fixed: the same content is the same commit. */
const publishDemo = (command: string, bare: string): void => {
  const work = mkdtempSync(join(tmpdir(), 'gantry-demo-'));
  const env = {
    ...process.env,
    GIT_AUTHOR_NAME: 'Gantry',
    GIT_AUTHOR_EMAIL: 'demo@gantry.invalid',
    GIT_AUTHOR_DATE: '2026-01-01T00:00:00Z',
    GIT_COMMITTER_NAME: 'Gantry',
    GIT_COMMITTER_EMAIL: 'demo@gantry.invalid',
    GIT_COMMITTER_DATE: '2026-01-01T00:00:00Z',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_SYSTEM: '/dev/null',
  };
  const git = (...args: string[]) =>
    execFileSync(command, args, { cwd: work, env, stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    if (!existsSync(bare)) {
      mkdirSync(bare, { recursive: true });
      git('init', '--quiet', '--bare', '--initial-branch=main', bare);
    }
    git('clone', '--quiet', bare, 'checkout');
    const checkout = join(work, 'checkout');
    git('-C', checkout, 'rm', '-rq', '--ignore-unmatch', '.');
    cpSync(join(ROOT, 'examples', 'demo-project'), checkout, { recursive: true });
    git('-C', checkout, 'add', '--all');
    const changed = git('-C', checkout, 'status', '--porcelain').toString() !== '';
    if (changed) {
      git('-C', checkout, 'commit', '--quiet', '--no-gpg-sign', '-m', 'The demo project of Gantry');
      git('-C', checkout, 'push', '--quiet', 'origin', 'HEAD:refs/heads/main');
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

/** Projects of the tests' own, in the git server of the world. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { world } from '../e2e/api.js';
import { make, seeded } from '../e2e/objects.js';
import { portOf } from './parts.js';

/** Commits these files to a repository of their own, and makes a project of it; answers the project's id. */
export const makeProject = async (files: Record<string, string>): Promise<string> => {
  const name = `faults-${randomUUID()}`;
  const bare = join(world.home, 'git', `${name}.git`);
  const work = mkdtempSync(join(tmpdir(), 'gantry-faults-'));
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Test', '-c', 'user.email=test@gantry.invalid', ...args], {
      cwd: work,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(work, path)), { recursive: true });
      writeFileSync(join(work, path), content);
    }
    git('init', '--quiet', '--initial-branch=main', '.');
    git('add', '--all');
    git('commit', '--quiet', '--no-gpg-sign', '-m', 'Faults');
    git('clone', '--quiet', '--bare', work, bare);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const { organizationId } = await seeded();
  return make('createProject', 'CreateProjectInput', {
    name,
    organizationId,
    scmUrl: `git://127.0.0.1:${portOf('git')}/${name}.git`,
  });
};

/** Running git: a clean environment, an allow-list of protocols, an end to silence, and git's own words as our errors. */
import { randomUUID } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError, isPlatformError } from '@gantry/contracts/errors';
import { joinSignals } from '@gantry/service/signals';
import { simpleGit } from 'simple-git';

/** How to run git. */
export interface GitSettings {
  directory: string;
  allowFile: boolean;
  silenceSeconds: number;
  environment: Record<string, string>;
  proxied: boolean;
  /** Ends every git that runs. */
  signal?: AbortSignal;
}

/** Runs git in a repository and returns what it printed. `limit` ends it, and is given for what talks to a server. Throws `refused` in git's own words; `unavailable` at shutdown. */
export type RunGit = (args: readonly string[], limit?: AbortSignal) => Promise<string>;

/** So long git may take for one job's project, in milliseconds. */
export const FETCH_MILLISECONDS = 110_000;

const unsafe = { allowUnsafeSshCommand: true, allowUnsafeConfigPaths: true };
const ownVariables = [
  'GIT_SSH_COMMAND',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_NOSYSTEM',
  'GIT_ALLOW_PROTOCOL',
  'GIT_TERMINAL_PROMPT',
  'GIT_SSL_CAINFO',
  'HOME',
  'PATH',
];

/** A runner for the repository in folder `path`; `host` is named in errors. */
export const createGitRunner = async (settings: GitSettings, path: string, host: string): Promise<RunGit> => {
  const { directory, allowFile, silenceSeconds } = settings;
  const environment = {
    ...settings.environment,
    HOME: directory,
    GIT_CONFIG_GLOBAL: await configOf(directory, silenceSeconds),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_ALLOW_PROTOCOL: `https:http:ssh:git${allowFile ? ':file' : ''}`,
    GIT_TERMINAL_PROMPT: '0',
    GIT_SSH_COMMAND: `ssh -oBatchMode=yes -oConnectTimeout=${silenceSeconds} -oStrictHostKeyChecking=accept-new -oUserKnownHostsFile=known_hosts`,
  };
  return async (args, limit) => {
    const signals = [limit, settings.signal].filter((signal) => signal !== undefined);
    const over = joinSignals(signals);
    try {
      const git = simpleGit({
        baseDir: path,
        unsafe,
        allowEnvironment: ownVariables,
        // Only what talks to a server says something all the while.
        timeout: { block: limit ? silenceSeconds * 1_000 : FETCH_MILLISECONDS },
        abort: over.signal,
      });
      return await git.env(environment).raw([...args]);
    } catch (error) {
      if (!settings.signal?.aborted) throw gitError(error, host, silenceSeconds, limit);
      throw new PlatformError('unavailable', 'The templates service is shutting down: try again.', {
        cause: error,
      });
    } finally {
      over.release();
    }
  };
};

const configs = new Map<string, Promise<string>>();

/** Written once per process: a git that runs must never read it half. */
const configOf = (directory: string, silenceSeconds: number): Promise<string> => {
  const written = configs.get(directory) ?? writeConfig(directory, silenceSeconds);
  configs.set(directory, written);
  written.catch(() => configs.delete(directory));
  return written;
};

const writeConfig = async (directory: string, silenceSeconds: number): Promise<string> => {
  const file = join(directory, 'gitconfig');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const text = `[protocol "ext"]
	allow = never
[http]
	followRedirects = false
	lowSpeedLimit = 1
	lowSpeedTime = ${silenceSeconds}
[core]
	hooksPath = /dev/null
	quotePath = false
[gc]
	auto = 0
[credential]
	helper =
[init]
	defaultBranch = main
`;
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, file);
  return file;
};

const gitError = (
  error: unknown,
  host: string,
  silenceSeconds: number,
  signal?: AbortSignal,
): PlatformError => {
  if (isPlatformError(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (signal?.aborted)
    return refused(
      `git did not finish within ${FETCH_MILLISECONDS / 1_000} s: the repository on ${host} is too large or the line too slow.`,
    );
  if (/block timeout reached/i.test(text))
    return refused(
      `${host} did not answer git within ${silenceSeconds} s: check that a git server listens there.`,
    );
  return refused(`git says: ${inOneLine(text)}`, error);
};

/** git's own words: the lines that matter, no progress, no control characters, no user part of a URL. */
const inOneLine = (text: string): string => {
  const lines = text
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter(Boolean);
  const telling = lines.filter((line) =>
    /^(fatal|error|remote|ssh|warning):|denied|refused|not found|could not|unable/i.test(line),
  );
  return (telling.length > 0 ? telling : lines)
    .join(' ')
    .replace(/[\u0000-\u001f\u007f]/g, ' ')
    .replace(/\/\/[^/\s@]+@/g, '//')
    .slice(0, 1_000);
};

const refused = (message: string, cause?: unknown): PlatformError =>
  new PlatformError('refused', message, { details: { reason: 'git_failed' }, cause });

/**
 * Git repositories as bare mirrors in a folder of our own: fetched, resolved, archived; never checked out, so that no hook,
 * filter or submodule of theirs ever runs here. git gets a clean environment and an allow-list of protocols.
 */
import { randomUUID } from 'node:crypto';
import { access, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError, isPlatformError } from '@gantry/contracts/errors';
import { simpleGit, type SimpleGit } from 'simple-git';
import { checkRef, parseGitAddress } from '../domain/git-address.js';
import { reach } from './reach.js';

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

/** A commit and the branch or tag it was found under. */
export interface Resolved {
  commit: string;
  branch: string;
}

/** One repository's mirror. Methods throw `refused` with git's own words when the remote does not give what was asked. */
export interface Mirror {
  /** Brings every branch and tag here. */
  fetch(): Promise<void>;
  /** A branch, tag or commit as a commit, as of the last fetch; null when there is none. Empty = the remote's default branch. */
  resolve(ref: string): Promise<Resolved | null>;
  /** Whether this full commit id is here. */
  hasCommit(commit: string): Promise<boolean>;
  /** Paths that look like playbooks, sorted. */
  playbooks(commit: string): Promise<string[]>;
  /** The commit's files as a tar; the caller removes the file. */
  archive(commit: string): Promise<{ file: string; remove(): Promise<void> }>;
}

const MAX_FILES = 100_000;
const MAX_BYTES = 1024 ** 3;
const MAX_PLAYBOOKS = 2_000;
const FETCH_MILLISECONDS = 110_000;

const unsafe = { allowUnsafeSshCommand: true, allowUnsafeConfigPaths: true };
const ownVariables = ['GIT_SSH_COMMAND', 'GIT_CONFIG_GLOBAL', 'GIT_CONFIG_NOSYSTEM', 'GIT_ALLOW_PROTOCOL', 'GIT_TERMINAL_PROMPT', 'GIT_SSL_CAINFO', 'HOME', 'PATH'];

/** Opens, or makes, the mirror of project `id`. Throws `invalid` for a URL or ref that is not taken. */
export const openMirror = async (settings: GitSettings, id: string, scmUrl: string): Promise<Mirror> => {
  const { directory, allowFile, silenceSeconds, proxied } = settings;
  const address = parseGitAddress(scmUrl, { allowFile });
  const path = join(directory, 'git', `${id}.git`);
  const configFile = await configOf(directory, silenceSeconds);
  const environment = {
    ...settings.environment,
    HOME: directory,
    GIT_CONFIG_GLOBAL: configFile,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_ALLOW_PROTOCOL: `https:http:ssh:git${allowFile ? ':file' : ''}`,
    GIT_TERMINAL_PROMPT: '0',
    GIT_SSH_COMMAND: `ssh -oBatchMode=yes -oConnectTimeout=${silenceSeconds} -oStrictHostKeyChecking=accept-new -oUserKnownHostsFile=known_hosts`,
  };
  const git = (baseDir: string, signal?: AbortSignal): SimpleGit =>
    simpleGit({ baseDir, unsafe, allowEnvironment: ownVariables, timeout: { block: silenceSeconds * 1_000 }, abort: signal }).env(environment);

  const run = async (args: string[], limit?: AbortSignal): Promise<string> => {
    const signals = [limit, settings.signal].filter((signal) => signal !== undefined);
    try {
      return await git(path, AbortSignal.any(signals)).raw(args);
    } catch (error) {
      if (settings.signal?.aborted) throw new PlatformError('unavailable', 'The templates service is shutting down: try again.', { cause: error });
      throw gitError(error, address.host, silenceSeconds, limit);
    }
  };
  /** git tells "no" and "not there" by its exit status alone, which comes out as no output. */
  const commitOf = async (revision: string): Promise<string | null> =>
    (await run(['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`])).trim() || null;

  await ensureBare(path, git);
  return {
    fetch: async () => {
      await reach(address, { seconds: silenceSeconds, tryConnect: !(proxied && address.scheme.startsWith('http')) });
      const signal = AbortSignal.timeout(FETCH_MILLISECONDS);
      // The default branch is only told by asking for it; kept as a symbolic ref of the mirror.
      const head = await run(['ls-remote', '--symref', '--', address.url, 'HEAD'], signal);
      await run(['fetch', '--progress', '--prune', '--force', '--no-write-fetch-head', '--', address.url, '+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'], signal);
      const branch = /^ref: (refs\/heads\/\S+)\tHEAD$/m.exec(head)?.[1];
      if (branch) await run(['symbolic-ref', 'HEAD', branch]);
    },
    resolve: async (ref) => {
      checkRef(ref);
      if (ref === '' || ref === 'HEAD') {
        const commit = await commitOf('HEAD');
        if (!commit) return null;
        return { commit, branch: (await run(['symbolic-ref', '--short', '--quiet', 'HEAD'])).trim() || 'HEAD' };
      }
      for (const revision of [`refs/heads/${ref}`, `refs/tags/${ref}`, ...(/^refs\/(heads|tags)\//.test(ref) ? [ref] : []), ...(/^[0-9a-f]{7,40}$/.test(ref) ? [ref] : [])]) {
        const commit = await commitOf(revision);
        if (commit) return { commit, branch: ref };
      }
      return null;
    },
    hasCommit: async (commit) => /^[0-9a-f]{40}$/.test(commit) && (await commitOf(commit)) !== null,
    playbooks: async (commit) => {
      const pattern = '^[[:space:]]*-?[[:space:]]*(hosts|(ansible\\.builtin\\.)?import_playbook)[[:space:]]*:';
      const found = await run(['grep', '-l', '-z', '-I', '-E', '-e', pattern, commit, '--', '*.yml', '*.yaml']);
      return found.split('\0').filter(Boolean).map((entry) => entry.slice(commit.length + 1)).filter(canBePlaybook).sort().slice(0, MAX_PLAYBOOKS);
    },
    archive: async (commit) => {
      checkSize(await run(['ls-tree', '-r', '-l', '-z', '--full-tree', commit]));
      const file = join(directory, `archive-${randomUUID()}.tar`);
      const remove = (): Promise<void> => rm(file, { force: true });
      try {
        await run(['archive', '--format=tar', `--output=${file}`, commit]);
        // simple-git takes a silent non-zero exit for success.
        await stat(file);
        return { file, remove };
      } catch (error) {
        await remove();
        throw error;
      }
    },
  };
};

const ensureBare = async (path: string, git: (baseDir: string) => SimpleGit): Promise<void> => {
  const exists = await access(join(path, 'HEAD')).then(() => true, () => false);
  if (exists) return;
  await mkdir(path, { recursive: true, mode: 0o700 });
  // No template: it would put sample hooks there.
  await git(path).raw(['init', '--bare', '--quiet', '.']);
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

/** `<mode> blob <id> <size>\t<path>` entries, NUL between. */
const checkSize = (listing: string): void => {
  const entries = listing.split('\0').filter(Boolean);
  const bytes = entries.reduce((sum, entry) => sum + (Number(/^\d+ blob \S+ +(\d+)\t/.exec(entry)?.[1]) || 0), 0);
  if (entries.length > MAX_FILES) throw refused(`The commit has ${entries.length} files; at most ${MAX_FILES} are taken.`);
  if (bytes > MAX_BYTES) throw refused(`The commit's files are ${Math.round(bytes / 1024 ** 2)} MiB; at most ${MAX_BYTES / 1024 ** 2} MiB are taken.`);
};

const partsOfRoles = new Set(['roles', 'tasks', 'handlers', 'vars', 'defaults', 'meta', 'group_vars', 'host_vars', 'templates', 'files', 'library', 'molecule', 'collections']);

const canBePlaybook = (path: string): boolean => path.split('/').slice(0, -1).every((part) => !partsOfRoles.has(part) && !part.startsWith('.'));

const gitError = (error: unknown, host: string, silenceSeconds: number, signal?: AbortSignal): PlatformError => {
  if (isPlatformError(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (signal?.aborted) return refused(`git did not finish within ${FETCH_MILLISECONDS / 1_000} s: the repository on ${host} is too large or the line too slow.`);
  if (/block timeout reached/i.test(text)) return refused(`${host} did not answer git within ${silenceSeconds} s: check that a git server listens there.`);
  return refused(`git says: ${inOneLine(text)}`, error);
};

/** git's own words: the lines that matter, no progress, no control characters, no user part of a URL. */
const inOneLine = (text: string): string => {
  const lines = text.split(/[\r\n]+/).map((line) => line.trim()).filter(Boolean);
  const telling = lines.filter((line) => /^(fatal|error|remote|ssh|warning):|denied|refused|not found|could not|unable/i.test(line));
  return (telling.length > 0 ? telling : lines)
    .join(' ')
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u001f\u007f]/g, ' ')
    .replace(/\/\/[^/\s@]+@/g, '//')
    .slice(0, 1_000);
};

const refused = (message: string, cause?: unknown): PlatformError => new PlatformError('refused', message, { details: { reason: 'git_failed' }, cause });

/**
 * Git repositories as bare mirrors in a folder of our own: fetched, resolved, archived; never checked out, so that no hook,
 * filter or submodule of theirs ever runs here.
 */
import { createHash, randomUUID } from 'node:crypto';
import { access, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';
import type { CollectionsLock } from '@gantry/contracts/job';
import { checkRef, parseGitAddress, type GitAddress } from '../domain/git-address.js';
import { createGitRunner, FETCH_MILLISECONDS, type GitSettings, type RunGit } from './git-runner.js';
import { reach } from './reach.js';

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
  /** The file that says which collections the commit wants, and the SHA-256 of its content; null: there is none. */
  collections(commit: string): Promise<CollectionsLock | null>;
  /** The commit's files as a tar; the caller removes the file. */
  archive(commit: string): Promise<{ file: string; remove(): Promise<void> }>;
}

const MAX_FILES = 100_000;
const MAX_BYTES = 1024 ** 3;
const MAX_PLAYBOOKS = 2_000;
/** Where Ansible content says which collections it wants; AWX reads the same. */
const collectionsFiles = ['collections/requirements.yml', 'collections/requirements.yaml'];
const MAX_COLLECTIONS_BYTES = 1024 ** 2;

/** Opens, or makes, the mirror of project `id`. Throws `invalid` for a URL or ref that is not taken. */
export const openMirror = async (settings: GitSettings, id: string, scmUrl: string): Promise<Mirror> => {
  const { directory, allowFile } = settings;
  const address = parseGitAddress(scmUrl, { allowFile });
  const path = join(directory, 'git', `${id}.git`);
  const run = await createGitRunner(settings, path, address.host);
  /** git tells "no" and "not there" by its exit status alone, which comes out as no output. */
  const commitOf = async (revision: string): Promise<string | null> =>
    (await run(['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`])).trim() ||
    null;

  await ensureBare(path, run);
  return {
    fetch: async () => fetchAll(settings, address, run),
    resolve: async (ref) => {
      checkRef(ref);
      if (ref === '' || ref === 'HEAD') {
        const commit = await commitOf('HEAD');
        if (!commit) return null;
        return {
          commit,
          branch: (await run(['symbolic-ref', '--short', '--quiet', 'HEAD'])).trim() || 'HEAD',
        };
      }
      for (const revision of [
        `refs/heads/${ref}`,
        `refs/tags/${ref}`,
        ...(/^refs\/(heads|tags)\//.test(ref) ? [ref] : []),
        ...(/^[0-9a-f]{7,40}$/.test(ref) ? [ref] : []),
      ]) {
        const commit = await commitOf(revision);
        if (commit) return { commit, branch: ref };
      }
      return null;
    },
    hasCommit: async (commit) => /^[0-9a-f]{40}$/.test(commit) && (await commitOf(commit)) !== null,
    playbooks: (commit) => findPlaybooks(commit, run),
    collections: async (commit) => {
      for (const file of collectionsFiles) {
        const entry = await run(['ls-tree', '-l', '--full-tree', commit, '--', file]);
        const size = /^\d+ blob \S+ +(\d+)\t/.exec(entry)?.[1];
        if (size === undefined || Number(size) > MAX_COLLECTIONS_BYTES) continue;
        const content = await run(['cat-file', 'blob', `${commit}:${file}`]);
        return { file, sha256: createHash('sha256').update(content).digest('hex') };
      }
      return null;
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

const fetchAll = async (settings: GitSettings, address: GitAddress, run: RunGit): Promise<void> => {
  const { silenceSeconds, proxied } = settings;
  await reach(address, {
    seconds: silenceSeconds,
    tryConnect: !(proxied && address.scheme.startsWith('http')),
  });
  const signal = AbortSignal.timeout(FETCH_MILLISECONDS);
  // The default branch is only told by asking for it; kept as a symbolic ref of the mirror.
  const head = await run(['ls-remote', '--symref', '--', address.url, 'HEAD'], signal);
  await run(
    [
      'fetch',
      '--progress',
      '--prune',
      '--force',
      '--no-write-fetch-head',
      '--',
      address.url,
      '+refs/heads/*:refs/heads/*',
      '+refs/tags/*:refs/tags/*',
    ],
    signal,
  );
  const branch = /^ref: (refs\/heads\/\S+)\tHEAD$/m.exec(head)?.[1];
  if (branch) await run(['symbolic-ref', 'HEAD', branch]);
};

const findPlaybooks = async (commit: string, run: RunGit): Promise<string[]> => {
  const pattern = '^[[:space:]]*-?[[:space:]]*(hosts|(ansible\\.builtin\\.)?import_playbook)[[:space:]]*:';
  const found = await run(['grep', '-l', '-z', '-I', '-E', '-e', pattern, commit, '--', '*.yml', '*.yaml']);
  return found
    .split('\0')
    .filter(Boolean)
    .map((entry) => entry.slice(commit.length + 1))
    .filter(canBePlaybook)
    .sort()
    .slice(0, MAX_PLAYBOOKS);
};

const ensureBare = async (path: string, run: RunGit): Promise<void> => {
  const exists = await access(join(path, 'HEAD')).then(
    () => true,
    () => false,
  );
  if (exists) return;
  await mkdir(join(path, 'info'), { recursive: true, mode: 0o700 });
  // A job gets every file as it was committed, whatever the repository's .gitattributes say of archives.
  await writeFile(join(path, 'info', 'attributes'), '* -export-ignore -export-subst\n');
  await run(['init', '--bare', '--quiet', '.']);
};

/** `<mode> blob <id> <size>\t<path>` entries, NUL between. */
const checkSize = (listing: string): void => {
  const entries = listing.split('\0').filter(Boolean);
  const bytes = entries.reduce(
    (sum, entry) => sum + (Number(/^\d+ blob \S+ +(\d+)\t/.exec(entry)?.[1]) || 0),
    0,
  );
  if (entries.length > MAX_FILES)
    throw refused(`The commit has ${entries.length} files; at most ${MAX_FILES} are taken.`);
  if (bytes > MAX_BYTES)
    throw refused(
      `The commit's files are ${Math.round(bytes / 1024 ** 2)} MiB; at most ${MAX_BYTES / 1024 ** 2} MiB are taken.`,
    );
};

const partsOfRoles = new Set([
  'roles',
  'tasks',
  'handlers',
  'vars',
  'defaults',
  'meta',
  'group_vars',
  'host_vars',
  'templates',
  'files',
  'library',
  'molecule',
  'collections',
]);

const canBePlaybook = (path: string): boolean =>
  path
    .split('/')
    .slice(0, -1)
    .every((part) => !partsOfRoles.has(part) && !part.startsWith('.'));

const refused = (message: string): PlatformError =>
  new PlatformError('refused', message, { details: { reason: 'git_failed' } });

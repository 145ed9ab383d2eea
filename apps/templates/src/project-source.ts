/**
 * From a project's branch to a commit to an archive in the object store. Archives are made once per commit; a commit that
 * is here already waits for nobody's fetch; fetches of one project follow one another, and whoever waits shares the next.
 */
import { createReadStream } from 'node:fs';
import type { ObjectStore } from '@gantry/bus/objects';
import { PlatformError } from '@gantry/contracts/errors';
import type { CollectionsLock } from '@gantry/contracts/job';
import type { StoredObject } from '@gantry/contracts/template';
import type { Sql } from '@gantry/eventlog/sql';
import type { GitSettings } from './adapters/git-runner.js';
import { openMirror, type Mirror, type Resolved } from './adapters/git.js';

/** What of a project matters here. */
export interface Repository {
  id: string;
  name: string;
  scmUrl: string;
}

/** The archive of a commit, and what the commit says of its collections (undefined: it was archived before anybody looked). */
interface Archived {
  archive: StoredObject;
  collectionsLock?: CollectionsLock | null;
}

/** A commit with its archive. */
export interface Pinned extends Resolved, Archived {}

/** See the head of the file. Throws `refused` with a sentence for the project's owner. */
export interface ProjectSource {
  /** Fetches now, then resolves. */
  fetched(repository: Repository, ref: string): Promise<Pinned>;
  /** A commit whose id is known, fetched only if it is not here. */
  known(repository: Repository, resolved: Resolved): Promise<Pinned>;
  /** Playbooks of a commit that is here. */
  playbooks(repository: Repository, commit: string): Promise<string[]>;
}

/** A source that keeps mirrors as `git` says and archives in `objects`; `sql` remembers which archive is which commit's. */
export const createProjectSource = ({
  git,
  objects,
  sql,
  schema,
}: {
  git: GitSettings;
  objects: ObjectStore;
  sql: Sql;
  schema: string;
}): ProjectSource => {
  const fetchOnce = createFetchQueue();
  const archiving = new Map<string, Promise<Archived>>();

  const archiveOf = async (mirror: Mirror, projectId: string, commit: string): Promise<Archived> => {
    const stored = await readArchive(sql, schema, projectId, commit);
    if (stored && (await objects.has(stored.archive.sha256))) return stored;
    const collectionsLock = await mirror.collections(commit);
    const { file, remove } = await mirror.archive(commit);
    try {
      const made = { archive: await objects.put(createReadStream(file)), collectionsLock };
      await writeArchive(sql, schema, projectId, commit, made);
      return made;
    } finally {
      await remove();
    }
  };
  const archiveOnce = (mirror: Mirror, projectId: string, commit: string): Promise<Archived> => {
    const key = `${projectId}/${commit}`;
    const made =
      archiving.get(key) ?? archiveOf(mirror, projectId, commit).finally(() => archiving.delete(key));
    archiving.set(key, made);
    return made;
  };
  const opening = new Map<string, Promise<Mirror>>();
  const open = ({ id, scmUrl }: Repository): Promise<Mirror> => {
    const opened = opening.get(id) ?? openMirror(git, id, scmUrl).finally(() => opening.delete(id));
    opening.set(id, opened);
    return opened;
  };
  const fetched = async (repository: Repository, ref: string): Promise<Pinned> => {
    const mirror = await open(repository);
    await fetchOnce(repository.id, () => mirror.fetch());
    const resolved = await mirror.resolve(ref);
    if (!resolved) {
      throw new PlatformError(
        'refused',
        ref === ''
          ? `The repository of the project ${repository.name} has no commit yet.`
          : `The repository of the project ${repository.name} has no branch, tag or commit called ${ref}.`,
        { details: { reason: 'git_ref_missing' } },
      );
    }
    return { ...resolved, ...(await archiveOnce(mirror, repository.id, resolved.commit)) };
  };
  return {
    fetched,
    known: async (repository, resolved) => {
      const stored = await readArchive(sql, schema, repository.id, resolved.commit);
      if (stored && (await objects.has(stored.archive.sha256))) return { ...resolved, ...stored };
      const mirror = await open(repository);
      if (!(await mirror.hasCommit(resolved.commit))) await fetchOnce(repository.id, () => mirror.fetch());
      if (!(await mirror.hasCommit(resolved.commit))) {
        throw new PlatformError(
          'refused',
          `The repository of the project ${repository.name} has no commit ${resolved.commit} any more: sync the project.`,
          {
            details: { reason: 'git_ref_missing' },
          },
        );
      }
      return { ...resolved, ...(await archiveOnce(mirror, repository.id, resolved.commit)) };
    },
    playbooks: async (repository, commit) => (await open(repository)).playbooks(commit),
  };
};

/** One fetch per project at a time. A fetch that is under way may have begun too early for who comes now: they share the next one. */
const createFetchQueue = (): ((projectId: string, fetch: () => Promise<void>) => Promise<void>) => {
  const queues = new Map<string, { running: Promise<void>; next: Promise<void> | null }>();
  const start = (projectId: string, fetch: () => Promise<void>): Promise<void> => {
    const running = fetch();
    const queue = { running, next: null };
    queues.set(projectId, queue);
    const done = (): void => {
      if (queues.get(projectId) === queue && !queue.next) queues.delete(projectId);
    };
    running.then(done, done);
    return running;
  };
  return (projectId, fetch) => {
    const queue = queues.get(projectId);
    if (!queue) return start(projectId, fetch);
    return (queue.next ??= queue.running.catch(() => undefined).then(() => start(projectId, fetch)));
  };
};

const readArchive = async (
  sql: Sql,
  schema: string,
  projectId: string,
  commit: string,
): Promise<Archived | null> => {
  const { rows } = await sql.query<{
    sha256: string;
    size_bytes: string;
    looked: boolean;
    collections: CollectionsLock | null;
  }>(
    `select sha256, size_bytes::text as size_bytes, collections is not null as looked, collections
     from ${schema}.project_archive where project_id = $1 and commit = $2`,
    [projectId, commit],
  );
  const [row] = rows;
  if (!row) return null;
  const archive = { sha256: row.sha256, sizeBytes: Number(row.size_bytes) };
  return row.looked ? { archive, collectionsLock: row.collections } : { archive };
};

const writeArchive = async (
  sql: Sql,
  schema: string,
  projectId: string,
  commit: string,
  { archive, collectionsLock }: Archived,
): Promise<void> => {
  await sql.query(
    `insert into ${schema}.project_archive (project_id, commit, sha256, size_bytes, collections) values ($1, $2, $3, $4, $5)
     on conflict (project_id, commit) do update
       set sha256 = excluded.sha256, size_bytes = excluded.size_bytes, collections = excluded.collections`,
    [projectId, commit, archive.sha256, archive.sizeBytes, JSON.stringify(collectionsLock)],
  );
};

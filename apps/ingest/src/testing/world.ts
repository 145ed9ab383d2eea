/** Ingest over a database of its own, without a process around it, and what most of its int tests open and send. */
import { fileURLToPath } from 'node:url';
import type { LiveHint, Payload } from '@gantry/contracts/record';
import { createEventLog } from '@gantry/eventlog/log';
import { provision, type ServiceDatabase } from '@gantry/eventlog/migrate';
import { testPrincipal } from '@gantry/service/testing';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { v7 as newId } from 'uuid';
import { createIngest, type Ingest, type IngestDependencies } from '../ingest.js';
import { listenTcp } from '../pods.listen.js';
import { createTestPod, type TestPod } from './pod.js';

/** Where ingest's migrations lie. */
export const migrations = fileURLToPath(new URL('../../migrations/', import.meta.url));
/** In whose name the tests act. */
export const meta = { actor: { kind: 'system' as const, id: 'test', name: 'test' }, correlationId: 'test' };
const object = { sha256: '0'.repeat(64), sizeBytes: 1 };
/** What the pods of the tests are to run: nothing. */
export const payload: Payload = {
  project: object,
  inventory: object,
  playbook: 'site.yml',
  arguments: [],
  environment: {},
  extraVars: {},
  timeoutSeconds: 0,
};

/** A database as `gantry migrate` leaves it; the URL of each service's role. `more`: services besides ingest. */
export const provisionIngest = (
  { adminUrl, name, rolePrefix }: Pick<FreshDatabase, 'adminUrl' | 'name' | 'rolePrefix'>,
  more: ServiceDatabase[] = [],
): Promise<Record<string, string>> =>
  provision({
    adminUrl,
    database: name,
    rolePrefix,
    services: [
      {
        name: 'ingest',
        password: 'test-ingest',
        migrationsDir: migrations,
        readerViews: ['job_event', 'record_summary'],
      },
      ...more,
    ],
  });

/** The administrator's connections; cut off when the database is dropped, which may be a moment before they are closed. */
export const adminPool = ({ adminUrl }: Pick<FreshDatabase, 'adminUrl'>, max = 6): pg.Pool => {
  const pool = new pg.Pool({ connectionString: adminUrl, max });
  pool.on('error', () => undefined);
  return pool;
};

/** An ingest whose neighbours have nothing to say. */
export const ingestOver = (pool: pg.Pool, settings: Partial<IngestDependencies> = {}): Ingest =>
  createIngest({
    pool,
    log: createEventLog({ pool, schema: 'ingest' }),
    objects: { get: async () => null },
    redeem: async () => ({ jwe: null }),
    publishLive: () => undefined,
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    ...settings,
  });

/** What a pod says last. */
export const finishOf = (pod: TestPod) => ({
  lastCounter: pod.counter,
  lastLine: pod.line,
  hash: pod.head,
  status: 'successful',
  exitCode: 0,
});

/** Everything a test of the record needs. */
export interface IngestWorld {
  database: FreshDatabase;
  pool: pg.Pool;
  ingest: Ingest;
  /** What it hinted at after its commits. */
  hints: LiveHint[];
  /** The organization of every job, and who may read it. */
  organizationId: string;
  reader: ReturnType<typeof testPrincipal>;
  /** Opens the record of a job; its pod. */
  open(jobId: string): Promise<TestPod>;
  stop(): Promise<void>;
}

/** Starts it. */
export const startIngestWorld = async (): Promise<IngestWorld> => {
  const database = await freshDatabase();
  const urls = await provisionIngest(database);
  const pool = new pg.Pool({ connectionString: urls['ingest']! });
  const hints: LiveHint[] = [];
  const ingest = ingestOver(pool, { publishLive: (hint) => hints.push(hint) });
  const port = await listenTcp(ingest.podServer(), { host: '127.0.0.1', port: 0 });
  const organizationId = newId();
  return {
    database,
    pool,
    ingest,
    hints,
    organizationId,
    reader: testPrincipal({ organizations: { [organizationId]: ['read'] } }),
    open: async (jobId) => {
      const pod = createTestPod({ port }, jobId);
      await ingest.commands.open(
        { jobId, epoch: 1, organizationId, bearerSha256: pod.bearerSha256, payload },
        meta,
      );
      return pod;
    },
    stop: async () => {
      await ingest.stop();
      await pool.end();
      await database.drop();
    },
  };
};

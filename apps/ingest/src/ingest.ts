/** Ingest put together: the same for the service, the tests and the benchmark. */
import type { Server } from 'node:http';
import type { Readable } from 'node:stream';
import { PlatformError } from '@gantry/contracts/errors';
import type { LiveHint } from '@gantry/contracts/record';
import type { EventLog } from '@gantry/eventlog/log';
import { identifier } from '@gantry/eventlog/sql';
import type pg from 'pg';
import { createAppendTransaction } from './adapters/append-transaction.js';
import { createChunks } from './adapters/chunks.js';
import { createDictionaries } from './adapters/dictionaries.js';
import { createGroupCommit } from './adapters/group-commit.js';
import { createRecords } from './adapters/records.js';
import { createLive } from './live.js';
import { createPodAccess } from './pods.access.js';
import { stopServer } from './pods.listen.js';
import { createPodServer, type PodLogger } from './pods.server.js';
import type { Redeem } from './pods.port.js';
import { agentLimits, createPods } from './pods.service.js';
import { createRecordCommands, type RecordCommands } from './record.commands.js';
import { createProofQueries, type ProofQueries } from './proof.queries.js';
import { createWatched } from './watched.js';
import { createRecordQueries, type RecordQueries } from './record.queries.js';
import { createRetention, keepForEver, type Retention, type RetentionSettings } from './retention.js';
import type { AskLauncher } from './retention.archive.js';
import type { SweepDependencies } from './retention.sweep.js';

/** What ingest stands on. */
export interface IngestDependencies {
  pool: pg.Pool;
  log: EventLog;
  objects: { get(sha256: string): Promise<Readable | null> };
  redeem: Redeem;
  publishLive(hint: LiveHint): void;
  logger: PodLogger & SweepDependencies['logger'];
  /** For ever when left out. */
  retention?: RetentionSettings;
  /** Asked when a job is archived. */
  launcher?: AskLauncher;
  /** How long one page looks for a text; 4 seconds when left out. */
  searchMilliseconds?: number;
}

/** A whole ingest. */
export interface Ingest {
  commands: RecordCommands;
  queries: RecordQueries;
  retention: Retention;
  proof: ProofQueries;
  /** A server for pods; one for each address. */
  podServer(): Server;
  /** These jobs are watched just now. */
  watched(jobIds: readonly string[]): void;
  /** Throws while Postgres takes no events, and says why. */
  ready(): void;
  /** Takes no more calls, commits what waits, sends the last hints. */
  stop(): Promise<void>;
}

const nobody: AskLauncher = ({ jobId }) =>
  Promise.reject(new PlatformError('unavailable', `There is no launcher to tell of job ${jobId}.`));

/** A pod whose output nobody watches sends it at least as often. */
const UNWATCHED_MILLISECONDS = 400;

/** Puts the parts together; listens nowhere yet. */
export const createIngest = (deps: IngestDependencies): Ingest => {
  const { pool, log, logger, objects, redeem } = deps;
  const { schema } = log;
  const records = createRecords(schema);
  const chunks = createChunks({ pool, schema });
  const dictionaries = createDictionaries(identifier(schema));
  const live = createLive(deps.publishLive);
  const watched = createWatched({
    watched: agentLimits.flushMilliseconds,
    unwatched: UNWATCHED_MILLISECONDS,
  });
  const queries = createRecordQueries({
    pool,
    schema,
    records,
    chunks,
    searchMilliseconds: deps.searchMilliseconds ?? 4_000,
  });
  const proof = createProofQueries({ pool, log, records });
  const retention = createRetention({
    pool,
    log,
    records,
    logger,
    settings: deps.retention ?? keepForEver,
    sources: { proof, queries, launcher: deps.launcher ?? nobody },
  });
  const commands = createRecordCommands({ pool, log, records, live, place: retention.place });
  const group = createGroupCommit(createAppendTransaction({ pool, schema, records, dictionaries }));
  const pods = createPods({ pool, records, commands, chunks, group, objects, live, watched, redeem });
  const access = createPodAccess({ pool, schema });
  const servers: Server[] = [];
  return {
    commands,
    retention,
    queries,
    proof,
    podServer: () => {
      const server = createPodServer({ pods, access, logger });
      servers.push(server);
      return server;
    },
    watched: watched.heard,
    ready: () => group.ready(),
    stop: async () => {
      await Promise.all(servers.map(stopServer));
      await group.stop();
      live.stop();
    },
  };
};

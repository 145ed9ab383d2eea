/**
 * The log is the outbox: what is committed is published, by one replica at a time, in the log's order.
 *
 * waiting (another replica holds the advisory lock) -> publishing -> waiting, when the lock's connection or NATS breaks.
 * The checkpoint moves after JetStream has acknowledged: after a crash some events are published again, which JetStream
 * drops by their id within 10 minutes and consumers stand anyway. The checkpoint belongs to the very events stream that
 * was published to (its time of birth is in the name): a new stream gets the whole log. So does one that has gone back in
 * time (an older copy restored, writes lost with the power): the event at the checkpoint is not on it any more.
 */
import { onReconnect } from '@gantry/bus/connect';
import { eventStreamBirth, ensureStreams, newestIs } from '@gantry/bus/streams';
import { createPublisher } from '@gantry/bus/publish';
import { asPlatformError } from '@gantry/contracts/errors';
import { eventSubject, streamNames } from '@gantry/contracts/subjects';
import { checkpointOf, logStart, type Checkpoint } from '@gantry/eventlog/checkpoint';
import type { EventLog } from '@gantry/eventlog/log';
import { fromPostgres, identifier } from '@gantry/eventlog/sql';
import type { NatsConnection } from '@nats-io/transport-node';
import type pg from 'pg';
import type { Follower } from './lag.js';
import { whileLeading } from './leader.js';
import type { Logger } from './logger.js';
import { pause } from './pause.js';
import { joinSignals } from './signals.js';

/** What a relay works with. */
export interface RelaySettings {
  log: EventLog;
  pool: pg.Pool;
  nats: NatsConnection;
  logger: Logger;
}

const retryMilliseconds = 500;

/** Publishes until `signal` fires; rides out Postgres and NATS being away; never rejects. */
export const runRelay = async (settings: RelaySettings, signal: AbortSignal): Promise<void> => {
  const { logger } = settings;
  let connected = new AbortController();
  // Whether the stream is still the same can only be asked anew; without new events nobody else would notice.
  onReconnect(settings.nats, () => {
    connected.abort();
    connected = new AbortController();
  });
  while (!signal.aborted) {
    try {
      await whileLeading(settings.pool, `gantry-relay:${settings.log.schema}`, signal, async (lost) => {
        const over = joinSignals([signal, lost, connected.signal]);
        await publishAll(settings, over.signal).finally(over.release);
      });
    } catch (error) {
      if (!signal.aborted)
        logger.warn({ err: asPlatformError(fromPostgres(error)) }, 'relay interrupted, trying again');
    }
    await pause(retryMilliseconds, signal);
  }
};

/**
 * How far a relay is, for the alarm: all that is committed is to be published, also what an open transaction holds back.
 * The newest checkpoint is that of the stream that is published to.
 */
export const relayFollower = ({ schema }: EventLog, pool: pg.Pool): Follower<Checkpoint> => {
  const [log, checkpoints] = ['event_log', 'projection_checkpoint'].map(
    (name) => `${identifier(schema)}.${name}`,
  );
  return {
    mark: async () => {
      const { rows } = await pool
        .query<Checkpoint>(
          `select transaction_id::text as "transactionId", position::text as position from ${log} as entry
           order by entry.transaction_id desc, entry.position desc limit 1`,
        )
        .catch(rethrow);
      return rows[0] ?? logStart;
    },
    missing: async ({ transactionId, position }) => {
      const { rows } = await pool
        .query<{ count: number }>(
          `with published as (select transaction_id, position from ${checkpoints}
             where name like 'relay:%' order by updated_at desc limit 1)
           select count(*)::int as count from ${log} where (transaction_id, position) <= ($1::xid8, $2::bigint)
             and (transaction_id, position) > (coalesce((select transaction_id from published), '0'::xid8),
               coalesce((select position from published), 0))`,
          [transactionId, position],
        )
        .catch(rethrow);
      const count = rows[0]!.count;
      if (count === 0) return null;
      return `${count} events of the log are not on the NATS stream ${streamNames.events}, and nobody hears of them,`;
    },
  };
};

const rethrow = (error: unknown): never => {
  throw fromPostgres(error);
};

const publishAll = async ({ log, pool, nats, logger }: RelaySettings, signal: AbortSignal): Promise<void> => {
  await ensureStreams(nats);
  const name = `relay:${await eventStreamBirth(nats)}`;
  const table = `${identifier(log.schema)}.projection_checkpoint`;
  const publisher = createPublisher(nats);
  const kept = await readCheckpoint(pool, table, name);
  const lost = await hasLost(pool, log.schema, nats, kept);
  if (lost)
    logger.warn({ event: lost }, 'the events stream has gone back in time: the whole log is published again');
  const from = lost ? logStart : kept;
  for await (const batch of log.tail(from, { signal, limit: 200 })) {
    await Promise.all(batch.map((event) => publisher.publish(event)));
    await writeCheckpoint(pool, table, name, checkpointOf(batch.at(-1)!));
    logger.debug({ events: batch.length }, 'published');
    if (signal.aborted) return;
  }
};

/** The id of the event at the checkpoint, if the stream has had it and has it no more; else null. */
const hasLost = async (
  pool: pg.Pool,
  schema: string,
  nats: NatsConnection,
  { position }: Checkpoint,
): Promise<string | null> => {
  const { rows } = await pool.query<{ id: string; type: string; stream: string; at: Date }>(
    `select id::text, type, stream, at from ${identifier(schema)}.event_log where position = $1::bigint`,
    [position],
  );
  const last = rows[0];
  if (!last) return null;
  const found = await newestIs(nats, eventSubject(last.type, last.stream), last.id, last.at);
  return found === 'no' ? last.id : null;
};

const readCheckpoint = async (pool: pg.Pool, table: string, name: string): Promise<Checkpoint> => {
  const { rows } = await pool.query<{ transactionId: string; position: string }>(
    `select transaction_id::text as "transactionId", position::text as position from ${table} where name = $1`,
    [name],
  );
  return rows[0] ?? logStart;
};

const writeCheckpoint = async (pool: pg.Pool, table: string, name: string, to: Checkpoint): Promise<void> => {
  await pool.query(
    `insert into ${table} (name, transaction_id, position) values ($1, $2::xid8, $3::bigint)
     on conflict (name) do update set transaction_id = excluded.transaction_id, position = excluded.position, updated_at = now()`,
    [name, to.transactionId, to.position],
  );
};

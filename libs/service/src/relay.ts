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
import { eventSubject } from '@gantry/contracts/subjects';
import { checkpointOf, logStart, type Checkpoint } from '@gantry/eventlog/checkpoint';
import type { EventLog } from '@gantry/eventlog/log';
import { fromPostgres, identifier } from '@gantry/eventlog/sql';
import type { NatsConnection } from '@nats-io/transport-node';
import type pg from 'pg';
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

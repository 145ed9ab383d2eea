/**
 * /healthz: the process lives. /readyz: it can do its work, and if not, why. JSON for both; 503 when not ready. A service
 * that is only late with something is ready and `degraded`: to take it away from its callers would help nobody.
 */
import type { Projection } from '@gantry/eventlog/projection';
import type { EventLog } from '@gantry/eventlog/log';
import { compareCheckpoints } from '@gantry/eventlog/checkpoint';
import type { NatsConnection } from '@nats-io/transport-node';
import type pg from 'pg';
import { pause } from './pause.js';

/** What /readyz answers. */
export interface Readiness {
  service: string;
  ready: boolean;
  /** It works, and something that others wait for is too late. */
  degraded: boolean;
  /** `ok`, or the reason, by what was looked at. */
  checks: Record<string, string>;
}

/** Collects what readiness depends on. */
export interface Health {
  add(name: string, check: () => Promise<void>): void;
  /** What makes the service `degraded` when it throws, and not unready. */
  addLag(name: string, check: () => Promise<void>): void;
  /** Ready once it has been caught up, as long as it is not stopped. */
  addProjection(projection: Projection, log: EventLog): void;
  readiness(): Promise<Readiness>;
  /** From now on the service is ready. */
  started(): void;
  /** From now on it is not: it shuts down. */
  stopping(): void;
}

const checkMilliseconds = 3_000;

/** Health of a service; `pool` null when it has no database. */
export const createHealth = ({
  service,
  nats,
  pool,
}: {
  service: string;
  nats: NatsConnection;
  pool: pg.Pool | null;
}): Health => {
  const checks = new Map<string, () => Promise<void>>();
  const lags = new Map<string, () => Promise<void>>();
  let phase: 'starting' | 'running' | 'stopping' = 'starting';
  checks.set('nats', async () => void (await nats.rtt()));
  if (pool) checks.set('postgres', () => takesWrites(pool));
  return {
    add: (name, check) => void checks.set(name, check),
    addLag: (name, check) => void lags.set(name, check),
    addProjection: (projection, log) => {
      let caughtUp = false;
      checks.set(`projection ${projection.name}`, async () => {
        const { state, failure } = projection.status();
        if (failure) throw failure;
        if (state !== 'running') throw new Error(`is ${state}`);
        caughtUp ||= compareCheckpoints(await projection.position(), await log.last()) >= 0;
        if (!caughtUp) throw new Error('is catching up');
      });
    },
    started: () => void (phase = 'running'),
    stopping: () => void (phase = 'stopping'),
    readiness: async () => {
      if (phase !== 'running')
        return { service, ready: false, degraded: false, checks: { service: `is ${phase}` } };
      const [needed, late] = await Promise.all([outcomes(checks), outcomes(lags)]);
      return {
        service,
        ready: needed.every(([, result]) => result === 'ok'),
        degraded: late.some(([, result]) => result !== 'ok'),
        checks: Object.fromEntries([...needed, ...late]),
      };
    },
  };
};

/** A standby, or a server that was set read-only, answers and yet is of no use. */
const takesWrites = async (pool: pg.Pool): Promise<void> => {
  const { rows } = await pool.query<{ readOnly: string }>(
    `select current_setting('transaction_read_only') as "readOnly"`,
  );
  if (rows[0]?.readOnly === 'on') throw new Error('is read-only');
};

const outcomes = (checks: ReadonlyMap<string, () => Promise<void>>): Promise<[string, string][]> =>
  Promise.all(
    [...checks].map(async ([name, check]): Promise<[string, string]> => [name, await outcome(check)]),
  );

const outcome = async (check: () => Promise<void>): Promise<string> => {
  const limit = new AbortController();
  const late = pause(checkMilliseconds, limit.signal).then(() => `no answer within ${checkMilliseconds} ms`);
  const looked = check().then(
    () => 'ok',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const result = await Promise.race([looked, late]);
  limit.abort();
  return result;
};

/**
 * Asks registries again what tags mean, so that people see that one has moved before a job does. Each execution environment is claimed
 * by one replica for one interval; a replica that dies costs an interval.
 */
import type { CallContext } from '@gantry/service/context';
import { isTold } from './domain/resolution.js';
import { findExecutionEnvironment } from './execution-environment.projection.js';
import { wordsOfError } from './image-lookup.js';
import type { Registry } from './registry.js';
import { keepAsked, keepLookup, wantedOf } from './resolve.commands.js';
import { seedIds } from './seed.js';

/** Execution environments of one turn. */
const mostAtATime = 20;

/** One turn: what is due, one registry's images after the other. Answers how many were asked for. */
export const lookUpWhatIsDue = async (
  registry: Registry,
  intervalSeconds: number,
  context: CallContext,
  signal: AbortSignal,
): Promise<number> => {
  const due = await claimDue(registry, intervalSeconds);
  let asked = 0;
  for (const id of due) {
    if (signal.aborted) break;
    if (await lookUpOne(registry, id, context)) asked += 1;
  }
  return asked;
};

const lookUpOne = async (registry: Registry, id: string, context: CallContext): Promise<boolean> => {
  const environment = await findExecutionEnvironment(registry, id);
  if (!environment) return false;
  const wanted = wantedOf(environment, 'setting');
  if (!isTold(wanted) || wanted.reference.digest !== null) return false;
  try {
    const lookup = await registry.lookup.inTurn(environment, wanted.reference, context);
    if (lookup) await keepLookup(registry, environment, lookup, 'schedule', context);
    const wait = registry.lookup.waitsFor(wanted.reference);
    if (wait > 0) await postpone(registry, id, wait);
    return lookup !== null;
  } catch (error) {
    // The vault, or the log: the next turn tries again.
    await keepAsked(registry, id, 'credential', wordsOfError(error));
    return true;
  }
};

/** Those whose time has come get their next one, jittered, in the same statement: two replicas never claim the same. */
const claimDue = async ({ pool, schema }: Registry, intervalSeconds: number): Promise<string[]> => {
  // What comes with the installation is asked about once a job has used it: nobody's registry is called for nothing.
  const { rows } = await pool.query<{ id: string }>(
    `insert into ${schema}.execution_environment_lookup as mine (execution_environment_id, next_at)
     select ee.id, now() + make_interval(secs => $1 * (0.8 + 0.4 * random()))
     from ${schema}.execution_environment as ee
     left join ${schema}.execution_environment_lookup as known on known.execution_environment_id = ee.id
     where coalesce(known.next_at, '-infinity') <= now() and (not ee.id = any($2::uuid[]) or known.used_at is not null)
       and ee.pull is distinct from 'never' and position('@' in ee.image) = 0
     order by known.next_at nulls first limit $3
     on conflict (execution_environment_id) do update set next_at = excluded.next_at where coalesce(mine.next_at, '-infinity') <= now()
     returning execution_environment_id::text as id`,
    [intervalSeconds, Object.values(seedIds), mostAtATime],
  );
  return rows.map(({ id }) => id);
};

const postpone = async ({ pool, schema }: Registry, id: string, milliseconds: number): Promise<void> => {
  await pool.query(
    `update ${schema}.execution_environment_lookup set next_at = now() + make_interval(secs => $2 * (1 + 0.2 * random()))
     where execution_environment_id = $1`,
    [id, milliseconds / 1_000],
  );
};

/** The execution environments that every installation has: AWX's three, and the one that was built on this machine. */
import type { Meta } from '@gantry/contracts/envelope';
import { isPlatformError } from '@gantry/contracts/errors';
import { withTransaction, type Sql } from '@gantry/eventlog/sql';
import { loadAggregate } from '@gantry/service/aggregate';
import { newId } from '@gantry/service/context';
import { v5 } from 'uuid';
import { makeDefault, seed, type Settings } from './domain/execution-environment.js';
import { formatImageReference, parseImageReference } from './domain/image-reference.js';
import { aggregate, type Registry } from './registry.js';

/** What the installation says. */
export interface SeedSettings {
  /** Image built on this machine; null for none. */
  localImage: string | null;
  /** Which is the default until somebody chooses another. */
  defaultIs: 'local' | 'quay';
}

const namespace = '5c1b6d2e-6f0a-4c1d-9d1c-6e2f6a1f7b10';
/** Ids of seeds are the same everywhere. */
export const seedIds = {
  latest: v5('awx-ee-latest', namespace),
  tagged: v5('awx-ee-24.6.1', namespace),
  controlPlane: v5('control-plane', namespace),
  local: v5('local', namespace),
} as const;

interface Seed {
  id: string;
  settings: Settings & { managed: boolean };
  /** A later start with another image changes it. */
  follow: boolean;
}

const awx = (id: string, name: string, tag: string, managed = false): Seed => ({
  id,
  settings: {
    name,
    description: '',
    organizationId: null,
    image: `quay.io/ansible/awx-ee:${tag}`,
    pull: null,
    credentialId: null,
    managed,
  },
  follow: false,
});

const seedsOf = ({ localImage }: SeedSettings): Seed[] => [
  awx(seedIds.latest, 'AWX EE (latest)', 'latest'),
  awx(seedIds.tagged, 'AWX EE (24.6.1)', '24.6.1'),
  awx(seedIds.controlPlane, 'Control Plane Execution Environment', 'latest', true),
  ...(localImage === null ? [] : [localSeed(localImage)]),
];

const localSeed = (image: string): Seed => ({
  id: seedIds.local,
  settings: {
    name: 'Gantry EE (local)',
    description: 'Built on this machine.',
    organizationId: null,
    image: formatImageReference(parseImageReference(image)),
    pull: 'never',
    credentialId: null,
    managed: false,
  },
  follow: true,
});

/** Brings them up to date. Idempotent, and safe when several replicas start at once. Contacts no registry. Throws `invalid` for a local image that is no reference. */
export const seedExecutionEnvironments = async (
  registry: Registry,
  settings: SeedSettings,
  meta: Meta,
): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    try {
      await withTransaction(registry.pool, (sql) => seedIn(sql, registry, settings, meta));
      registry.log.wake();
      return;
    } catch (error) {
      // A digest was noted on the same stream meanwhile.
      if (!isPlatformError(error) || error.code !== 'conflict' || attempt >= 5) throw error;
    }
  }
};

const seedIn = async (
  sql: Sql,
  { log, schema }: Registry,
  settings: SeedSettings,
  meta: Meta,
): Promise<void> => {
  await sql.query(`select pg_advisory_xact_lock(hashtextextended($1, 0))`, [`${log.schema}: seed`]);
  const versions = new Map<string, number>();
  for (const { id, settings: wanted, follow } of seedsOf(settings)) {
    const { state, version } = await loadAggregate(aggregate(log, id));
    const events = seed(state, id, wanted, follow, newId());
    if (events.length > 0) await log.appendIn(sql, aggregate(log, id).stream, version, events, meta);
    if (state === 'deleted') continue;
    versions.set(id, version + events.length);
    await sql.query(
      `insert into ${schema}.execution_environment_name (name, execution_environment_id) values ($1, $2) on conflict do nothing`,
      [wanted.name, id],
    );
  }
  const wanted = settings.defaultIs === 'local' ? seedIds.local : seedIds.latest;
  const chosen = await defaultSoFar(sql, schema);
  if (chosen && (chosen.byPerson || chosen.stream === aggregate(log, wanted).stream)) return;
  if (!versions.has(wanted)) return;
  const { initial, evolve } = aggregate(log, wanted);
  const { settings: settingsOfWanted } = seedsOf(settings).find(({ id }) => id === wanted)!;
  const state = evolve(initial, {
    type: 'execution_environment.registered',
    version: 1,
    data: { executionEnvironmentId: wanted, ...settingsOfWanted },
  });
  await log.appendIn(
    sql,
    aggregate(log, wanted).stream,
    versions.get(wanted)!,
    makeDefault(state, wanted, newId()),
    meta,
  );
};

/** From the log, for the read model may lag behind. A person's choice is never undone. */
const defaultSoFar = async (
  sql: Sql,
  schema: string,
): Promise<{ stream: string; byPerson: boolean } | null> => {
  const { rows } = await sql.query<{ stream: string; kind: string }>(
    `select stream, meta->'actor'->>'kind' as kind from ${schema}.event_log
     where type = 'execution_environment.made_default' order by transaction_id desc, position desc limit 1`,
  );
  return rows[0] ? { stream: rows[0].stream, byPerson: rows[0].kind === 'user' } : null;
};

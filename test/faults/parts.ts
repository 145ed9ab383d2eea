/** The parts of the world: their process ids, how to kill them, and a look into Postgres behind everybody's back. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@gantry/testkit/eventually';
import pg from 'pg';
import { world } from '../e2e/api.js';

/** Longer and larger, as the rows of the table of faults say it: GANTRY_FAULTS_LONG=1. */
export const long = process.env['GANTRY_FAULTS_LONG'] === '1';

/** A service, or what Gantry stands on. */
export type PartName =
  'gateway' | 'identity' | 'templates' | 'registry' | 'vault' | 'launcher' | 'ingest' | 'postgres' | 'nats';

interface State {
  ports: Record<string, number>;
  parts: Record<string, { state: string; pid: number | null }>;
}

const state = (): State => JSON.parse(readFileSync(join(world.home, 'run', 'state.json'), 'utf8')) as State;

/** The port that a part listens on. */
export const portOf = (part: string): number => state().ports[part]!;

/** Process id of a part that runs; null while it does not. */
export const pidOf = (part: PartName): number | null => state().parts[part]?.pid ?? null;

/** Sends a signal to a part if it runs, and says whether it did. */
export const signal = (part: PartName, name: NodeJS.Signals = 'SIGKILL'): boolean => {
  const pid = pidOf(part);
  if (pid === null) return false;
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
};

/** What /readyz of a service says; null when nobody answers. */
export const readiness = async (
  service: PartName,
): Promise<{ ready: boolean; degraded: boolean; checks: Record<string, string> } | null> => {
  try {
    const answer = await fetch(`http://127.0.0.1:${portOf(service)}/readyz`);
    return (await answer.json()) as { ready: boolean; degraded: boolean; checks: Record<string, string> };
  } catch {
    return null;
  }
};

/** Waits until every service is ready again, and late with nothing. */
export const healed = async (): Promise<void> => {
  for (const name of [
    'identity',
    'templates',
    'registry',
    'vault',
    'launcher',
    'ingest',
    'gateway',
  ] as const) {
    await eventually(
      async () => {
        const said = await readiness(name);
        if (!said?.ready || said.degraded) throw new Error(JSON.stringify(said?.checks));
        return true;
      },
      { timeoutMs: 60_000, intervalMs: 100, what: `${name} to be ready` },
    );
  }
};

/** A secret of the installation, by its file's name. */
export const secret = (name: string): string =>
  readFileSync(join(world.home, 'secrets', name), 'utf8').trim();

/** Runs SQL as the administrator of the embedded server, on a connection of its own. */
export const sql = async <Row extends pg.QueryResultRow>(
  text: string,
  params: unknown[] = [],
): Promise<Row[]> => {
  const client = new pg.Client({
    connectionString: `postgres://gantry_admin:${encodeURIComponent(secret('postgres-admin'))}@127.0.0.1:${portOf('postgres')}/gantry`,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(text, params)).rows;
  } finally {
    await client.end();
  }
};

/** Where the key of a service's NATS user lies. */
export const seedOf = (service: PartName): string => secret(`nats-${service}.nk`);

/** Sleeps: for the pace of the faults themselves, never to wait for an effect. */
export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

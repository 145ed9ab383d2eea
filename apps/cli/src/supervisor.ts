/**
 * Starts the embedded parts in their order, keeps them running, stops them in reverse:
 * container engine API, Postgres, nats-server, git -> migrations -> services.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { serviceNames } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { provision } from '@gantry/eventlog/migrate';
import { enginePart } from './engine.part.js';
import { gitPart } from './git.part.js';
import { readMachine, ROOT, writeAtomically, type Machine } from './home.js';
import { makeStreams, natsPart } from './nats.part.js';
import { createPart, type Part, type PartSpec } from './part.js';
import { choosePorts, type Ports } from './ports.js';
import { embeddedPostgresUrl, postgresPart } from './postgres.part.js';
import { openSecrets, type Secrets } from './secrets.js';
import { serviceParts } from './services.part.js';
import { readState, STATE_FILE, type SupervisorState } from './state.js';

/** A running installation. */
export interface Supervisor {
  ports: Ports;
  /** Ends every part, the last started first. */
  stop(): Promise<void>;
}

/** Told of each step as it begins and ends. */
export type Progress = (step: string, run: () => Promise<void>) => Promise<void>;

/** Starts everything; stops it again if `signal` fires meanwhile. Throws `conflict` when it runs already, `cancelled` when stopped. */
export const startAll = async (progress: Progress, signal: AbortSignal): Promise<Supervisor> => {
  if (readState())
    throw new PlatformError(
      'conflict',
      'Gantry runs already: ./gantry status shows it, ./gantry down stops it.',
    );
  const machine = readMachine();
  const ports = await choosePorts();
  const secrets = openSecrets();
  const parts: Part[] = [];
  const separate = process.env['GANTRY_PROCESSES'] === 'separate';
  const startedAt = new Date().toISOString();
  let ready = false;
  const publish = () => {
    const state: SupervisorState = {
      pid: process.pid,
      startedAt,
      ready,
      ports,
      separate,
      parts: Object.fromEntries(
        parts.map((part) => [
          part.name,
          { state: part.state, pid: part.pid ?? null, restarts: part.restarts },
        ]),
      ),
    };
    writeAtomically(STATE_FILE, `${JSON.stringify(state, null, 2)}\n`, 0o644);
  };
  const start = async (specs: PartSpec[]) => {
    if (signal.aborted) throw new PlatformError('cancelled', 'Stopped while starting.');
    await Promise.all(
      specs.map((spec) => {
        const part = createPart(spec, publish);
        parts.push(part);
        return part.start();
      }),
    );
  };
  const stop = async () => {
    ready = false;
    const [services, base] = [
      parts.filter((part) => isService(part.name)),
      parts.filter((part) => !isService(part.name)),
    ];
    await Promise.all(services.map((part) => part.stop()));
    await Promise.all(base.map((part) => part.stop()));
    rmSync(STATE_FILE, { force: true });
  };
  publish();
  signal.addEventListener('abort', () => void (ready || stop()), { once: true });
  try {
    await progress('Postgres, nats-server, git and the container engine', () =>
      start(baseParts(machine, ports, secrets)),
    );
    let postgresUrls: Record<string, string> = {};
    await progress('database schemas', async () => {
      postgresUrls = await migrateAll(adminUrl(machine, ports, secrets), secrets.postgres);
    });
    const natsUrl = process.env['GANTRY_NATS_URL'];
    if (natsUrl)
      await progress('JetStream streams', () =>
        makeStreams(natsUrl, process.env['GANTRY_ADMINISTRATOR_NATS_SEED_FILE']),
      );
    const settings = {
      machine,
      ports,
      secrets,
      postgresUrls,
      separate,
      natsUrl: natsUrl ?? `nats://127.0.0.1:${ports['nats']}`,
      natsIsOurs: !natsUrl,
    };
    await progress(`services (${serviceNames.join(', ')})`, () => start(serviceParts(settings)));
  } catch (error) {
    await stop();
    throw signal.aborted ? new PlatformError('cancelled', 'Stopped while starting.') : error;
  }
  ready = true;
  publish();
  return { ports, stop };
};

const isService = (name: string): boolean =>
  name === 'services' || (serviceNames as readonly string[]).includes(name);

/** Makes and migrates every service's part of the database; gives each service's own URL. */
export const migrateAll = (url: string, passwords: Record<string, string>): Promise<Record<string, string>> =>
  provision({
    adminUrl: url,
    services: serviceNames
      .filter((name) => name !== 'gateway')
      .map((name) => {
        const directory = join(ROOT, 'apps', name, 'migrations');
        return {
          name,
          password: passwords[name]!,
          migrationsDir: existsSync(directory) ? directory : null,
          readerViews: name === 'ingest' ? ['job_event', 'record_summary'] : [],
        };
      }),
  });

const adminUrl = (machine: Machine, ports: Ports, secrets: Secrets): string =>
  process.env['GANTRY_POSTGRES_URL'] ??
  embeddedPostgresUrl(ports['postgres']!, requireEmbedded(machine) && secrets.postgresAdmin);

const requireEmbedded = (machine: Machine) => {
  if (!machine.postgres)
    throw new PlatformError(
      'refused',
      'There is no Postgres: name one in GANTRY_POSTGRES_URL, or run ./gantry doctor.',
    );
  return machine.postgres;
};

/** What Gantry needs and does not write itself. What the user names in the environment is not started. */
const baseParts = (machine: Machine, ports: Ports, secrets: Secrets): PartSpec[] => {
  const parts: PartSpec[] = [gitPart(machine.git, ports['git']!)];
  if (!process.env['GANTRY_POSTGRES_URL'])
    parts.push(postgresPart(requireEmbedded(machine), ports['postgres']!, secrets.postgresAdmin));
  if (!process.env['GANTRY_NATS_URL'] && machine.natsServer)
    parts.push(natsPart(machine.natsServer, ports['nats']!, secrets));
  const engine = enginePart(machine.engine);
  if (engine) parts.push(engine);
  return parts;
};

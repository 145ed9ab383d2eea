/** Where everything of this installation lies: GANTRY_HOME, else `.gantry` in the checkout. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PlatformError } from '@gantry/contracts/errors';
import { z } from 'zod';

/** The root of the checkout. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The folder of this installation. */
export const HOME = resolve(process.env['GANTRY_HOME'] || join(ROOT, '.gantry'));

/** A path below the installation's folder. */
export const homePath = (...parts: string[]): string => join(HOME, ...parts);

/** The first administrator's token lies here, mode 0600. */
export const TOKEN_FILE = homePath('token');

const Engine = z.object({
  kind: z.enum(['podman', 'docker', 'external']),
  command: z.string().nullable(),
  socket: z.string(),
  env: z.record(z.string(), z.string()),
  managed: z.boolean(),
  service: z
    .object({ command: z.string(), args: z.array(z.string()), env: z.record(z.string(), z.string()) })
    .nullable(),
  network: z.enum(['bridge', 'host']),
});

/** What the set-up found on this machine; written by apps/cli/setup/machine.mjs. */
export const Machine = z.object({
  natsServer: z.string().nullable(),
  engine: Engine,
  eeImage: z.string(),
  postgres: z
    .object({
      binDir: z.string(),
      dataDir: z.string(),
      uid: z.number().nullable(),
      gid: z.number().nullable(),
    })
    .nullable(),
  git: z.object({ command: z.string(), daemon: z.string() }),
});
/** What the set-up found on this machine. */
export type Machine = z.output<typeof Machine>;

/** Reads machine.json; the bootstrap has just written it. Throws `defect` if it has not. */
export const readMachine = (): Machine => {
  const file = homePath('machine.json');
  if (!existsSync(file)) throw new PlatformError('defect', `${file} is missing: run ./gantry doctor.`);
  return Machine.parse(JSON.parse(readFileSync(file, 'utf8')));
};

/** Reads a JSON file, or gives `fallback` when there is none. */
export const readJson = <T>(file: string, fallback: T): T =>
  existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : fallback;

/** Writes a file in one step, so that nobody reads half of it. Mode 0600 unless said otherwise. */
export const writeAtomically = (file: string, content: string | Buffer, mode = 0o600): void => {
  mkdirSync(dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}.new`;
  writeFileSync(fresh, content, { mode });
  renameSync(fresh, file);
};

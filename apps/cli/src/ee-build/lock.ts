/** The lock file: what a build resolved, so that it can be built again with the same contents. docs/EXECUTION-ENVIRONMENTS.md describes it. */
import { existsSync, readFileSync } from 'node:fs';
import { PlatformError } from '@gantry/contracts/errors';
import { Document, isMap, parse as parseYaml, visit } from 'yaml';
import { z } from 'zod';
import { writeAtomically } from '../home.js';
import { readWith } from './definition.js';
import type { Definition } from './load.js';

const Sha256 = z.string().regex(/^[a-f0-9]{64}$/, 'write 64 hexadecimal digits');

/** What was found in the image; builder.py writes it as /usr/share/gantry/ee-build.json. */
export const BuildRecord = z.strictObject({
  system: z.strictObject({
    manager: z.enum(['dpkg', 'rpm']),
    /** What the build added to the base image or changed in it. `sha256`: of the .deb, where the archive has it. */
    packages: z.array(
      z.strictObject({
        name: z.string(),
        version: z.string(),
        architecture: z.string(),
        sha256: Sha256.optional(),
      }),
    ),
  }),
  /** By pip. `layer`: base (ansible-core, ansible-runner), final (all else), step (an additional build step did it: no hash). */
  python: z.array(
    z.strictObject({
      name: z.string(),
      version: z.string(),
      sha256: Sha256.optional(),
      /** Of a requirement that names an address. */
      url: z.string().optional(),
      layer: z.enum(['base', 'final', 'step']),
    }),
  ),
  /** `sha256` of the archive, `contents` of the list of its files. `direct`: named by its address; its archive is made anew each time. */
  collections: z.array(
    z.strictObject({
      name: z.string(),
      version: z.string(),
      sha256: Sha256,
      contents: Sha256,
      direct: z.boolean().optional(),
    }),
  ),
  roles: z.array(z.strictObject({ name: z.string(), version: z.string().nullable(), contents: Sha256 })),
  /** What was used; for people, not compared. */
  tools: z.record(z.string(), z.string()),
});
/** What was found in the image. */
export type BuildRecord = z.output<typeof BuildRecord>;

/** The lock file. */
export const Lock = BuildRecord.extend({
  version: z.literal(1),
  definition: z.strictObject({ sha256: Sha256, parts: z.record(z.string(), Sha256) }),
  /** `digest`: of the manifest in its registry; of an image that no registry has (`local`), its id. */
  base: z.strictObject({
    name: z.string(),
    digest: z.string().regex(/^sha256:[a-f0-9]{64}$/),
    local: z.boolean(),
  }),
  platform: z.string(),
});
/** The lock file. */
export type Lock = z.output<typeof Lock>;

/** Reads a lock file; null if there is none. Throws `invalid`, with places, for one that cannot be right. */
export const readLock = (file: string): Lock | null => {
  if (!existsSync(file)) return null;
  let value: unknown;
  try {
    value = parseYaml(readFileSync(file, 'utf8'), { maxAliasCount: 0 });
  } catch (error) {
    throw new PlatformError('invalid', `${file} is not YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  return readWith(Lock, value, file);
};

/** Writes it: YAML, each package in a line of its own, so that a change is a line of a diff. */
export const writeLock = (file: string, lock: Lock): void => {
  const document = new Document(lock);
  document.commentBefore =
    ' Made by `gantry ee build`: what it resolved. `gantry ee build --from-lock` builds the same again.';
  visit(document, {
    Seq: (_key, list) => {
      for (const item of list.items) if (isMap(item)) item.flow = true;
    },
  });
  writeAtomically(file, document.toString({ lineWidth: 0, flowCollectionPadding: false }), 0o644);
};

/** Which parts of the definition are not the ones that were locked? Empty: it is the same. */
export const changedParts = (lock: Lock, definition: Definition): string[] => {
  const names = [
    ...new Set([...Object.keys(lock.definition.parts), ...Object.keys(definition.parts)]),
  ].sort();
  return names.flatMap((name) => {
    const [before, now] = [lock.definition.parts[name], definition.parts[name]];
    if (before === now) return [];
    return [`${name} ${before === undefined ? 'is new' : now === undefined ? 'is gone' : 'has changed'}`];
  });
};

/** Refuses to build a definition from the lock of another. Throws `refused`, naming what differs. */
export const demandSameDefinition = (lock: Lock, definition: Definition, lockFile: string): void => {
  const changed = changedParts(lock, definition);
  if (changed.length === 0) return;
  throw new PlatformError(
    'refused',
    `${lockFile} locks another definition:\n${changed.map((line) => `  ${line}`).join('\n')}\nBuild without --from-lock to resolve and lock it anew.`,
    { details: { reason: 'lock_of_another_definition', changed } },
  );
};

/** Everything a record names, as `kind name` to version and hashes. */
const entriesOf = (record: BuildRecord): Map<string, string> =>
  new Map([
    ...record.system.packages.map((one): [string, string] => [
      `system package ${one.name}:${one.architecture}`,
      one.version,
    ]),
    ...record.python.map((one): [string, string] => [
      `Python package ${one.name}`,
      withHash(one.version, one.sha256),
    ]),
    ...record.collections.map((one): [string, string] => [
      `collection ${one.name}`,
      withHash(one.version, one.contents),
    ]),
    ...record.roles.map((one): [string, string] => [
      `role ${one.name}`,
      withHash(one.version ?? '-', one.contents),
    ]),
  ]);

const withHash = (version: string, sha256: string | undefined): string =>
  sha256 === undefined ? version : `${version} (${sha256.slice(0, 12)})`;

/** What differs between two, a line each: `collection a.b: 1.0.0 -> 1.1.0`. */
export const differences = (before: BuildRecord, now: BuildRecord): string[] => {
  const [old, fresh] = [entriesOf(before), entriesOf(now)];
  return [...new Set([...old.keys(), ...fresh.keys()])].sort().flatMap((name) => {
    const [one, other] = [old.get(name), fresh.get(name)];
    if (one === other) return [];
    if (one === undefined) return [`${name}: new, ${other}`];
    return [other === undefined ? `${name}: gone, was ${one}` : `${name}: ${one} -> ${other}`];
  });
};

/** The lock in the words of the tools inside the build: file name to text, for `_build/lock`. */
export const lockFiles = (lock: Lock): Record<string, string> => ({
  packages: lock.system.packages
    .map(({ name, architecture, version, sha256 }) => [name, architecture, version, sha256 ?? ''].join('\t'))
    .sort()
    .map((line) => `${line}\n`)
    .join(''),
  // Above 1000, so that a base image with a newer one is brought back.
  preferences: lock.system.packages
    .map(({ name, version }) => `Package: ${name}\nPin: version ${version}\nPin-Priority: 1001\n\n`)
    .join(''),
  'python.json': JSON.stringify(lock.python.filter(({ layer }) => layer !== 'step')),
  'collections.json': JSON.stringify(lock.collections),
  'roles.json': JSON.stringify(lock.roles),
});

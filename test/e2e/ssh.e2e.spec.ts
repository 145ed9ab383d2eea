/** A host managed over SSH: a real sshd in a container of its own, and the key that only the vault and the pod see. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allEvents, ask, engine, launch, over, world, type Job } from './api.js';

const host = `gantry-e2e-sshd-${process.pid}`;
const key = () => readFileSync(join(world.home, 'secrets', 'demo-ssh-key'), 'utf8');

/** Every file below a folder. */
const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('a job that manages a host over SSH', () => {
  let job: Job;

  beforeAll(async () => {
    const authorized = readFileSync(join(world.home, 'secrets', 'demo-ssh-key.pub'), 'utf8').trim();
    engine(
      'run',
      '--detach',
      '--rm',
      '--name',
      host,
      '--env',
      `AUTHORIZED_KEY=${authorized}`,
      'localhost/gantry-test-sshd:latest',
    );
    const address = engine('inspect', host, '--format', '{{.NetworkSettings.IPAddress}}');
    job = await over(await launch('Demo SSH Template', { extraVars: { ssh_host: address, ssh_port: 22 } }));
  });
  afterAll(() => void engine('rm', '--force', '--time', '0', host));

  it('logs in with the key from the vault and does its work', async () => {
    expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
    expect((await allEvents(job.id)).map(({ stdout }) => stdout).join('\n')).toContain(
      'ansible@managed1: Managed by Gantry.',
    );
  });

  it('says which credential and version it used, and when the pod got it', () => {
    const types = job.timeline.map(({ type }) => type);
    expect(types).toContain('job.credentials_redeemed');
    expect(JSON.stringify(job.timeline.find(({ type }) => type === 'job.pinned')!.data)).toContain(
      '"credentialType":"ssh"',
    );
  });

  it('leaves the key nowhere: not in any answer, not in any log, not in what NATS stores', async () => {
    // One line of the key's body is enough to know it by.
    const canary = key().split('\n')[2]!;
    expect(canary.length).toBeGreaterThan(40);
    const answers = await ask(
      'query ($id: ID!) { credentials { nodes { name inputs } } job(id: $id) { extraVars artifacts timeline { data } } }',
      { id: job.id },
    );
    expect(JSON.stringify(answers)).toContain('$encrypted$');
    expect(JSON.stringify(answers) + JSON.stringify(await allEvents(job.id))).not.toContain(canary);
    const found = ['log', 'nats', 'data', 'run']
      .flatMap((folder) => filesBelow(join(world.home, folder)))
      .filter((file) => readFileSync(file).includes(canary));
    expect(found).toEqual([]);
  });
});

import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { containerOf } from '../adapters/container-engine.js';
import { repositoryOf } from '../domain/pull.js';
import { createSeal } from '../adapters/seal.js';
import { describePod } from './description.js';
import { reasonOfEnd } from './ending.js';
import { podSecrets } from './token.js';

const agentSource = readFileSync(new URL('../../../agent/agent.py', import.meta.url));
const settings = {
  installationId: 'i', podsUrl: 'unix:///var/run/pods/ingest.sock', network: 'bridge', limits: { memoryBytes: 2 ** 30, cpus: 1.5, processes: 512 }, agentSource,
}; // prettier-ignore
const pod = describePod(settings, { id: 'j', epoch: 2, image: 'sha256:1' });

describe('a pod', () => {
  it('has a name that follows from the attempt', () => {
    expect(pod).toMatchObject({
      name: 'gantry-j-2',
      labels: { 'gantry.job': 'j', 'gantry.epoch': '2', 'gantry.installation': 'i' },
    });
  });
  it('sees the folder of the socket, read-only', () => {
    expect(pod.mounts).toEqual([{ source: '/var/run/pods', target: '/run/gantry', readOnly: true }]);
    expect(pod.environment).toEqual({
      GANTRY_URL: 'unix:///run/gantry/ingest.sock',
      GANTRY_JOB_ID: 'j',
      GANTRY_EPOCH: '2',
    });
  });
  it('needs no mount when ingest has an address', () => {
    expect(
      describePod({ ...settings, podsUrl: 'http://ingest:8081' }, { id: 'j', epoch: 1, image: 'i' }),
    ).toMatchObject({
      mounts: [],
      environment: { GANTRY_URL: 'http://ingest:8081' },
    });
  });
  it('carries the whole agent in one argument that the kernel takes', () => {
    const argument = pod.command[2]!;
    expect(Buffer.byteLength(argument)).toBeLessThan(128 * 1024);
    expect(
      inflateSync(Buffer.from(/b64decode\("(.+)"\)/.exec(argument)![1]!, 'base64')).equals(agentSource),
    ).toBe(true);
  });
  it('is confined when a container engine makes it', () => {
    expect(containerOf(pod)).toMatchObject({
      User: '1000:0',
      HostConfig: {
        ReadonlyRootfs: true, Privileged: false, CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'], Memory: 2 ** 30, MemorySwap: 2 ** 30,
        NanoCpus: 1.5e9, PidsLimit: 512, Tmpfs: { '/runner': expect.stringContaining('nosuid,nodev'), '/tmp': expect.stringContaining('mode=1777') },
      },
    }); // prettier-ignore
  });
});

describe('the pod token', () => {
  const key = Buffer.alloc(32, 7);
  it('is the same for the same attempt, and no other', () => {
    expect(podSecrets(key, 'j', 1)).toEqual(podSecrets(key, 'j', 1));
    expect(podSecrets(key, 'j', 2).token).not.toBe(podSecrets(key, 'j', 1).token);
    expect(podSecrets(key, 'k', 1).token).not.toBe(podSecrets(key, 'j', 1).token);
  });
  it('leads to the keys of the pod protocol', () => {
    const { token, bearerSha256, proofKey } = podSecrets(key, 'j', 1);
    const bearer = createHmac('sha256', token).update('gantry pod bearer').digest('base64url');
    expect(bearerSha256).toBe(createHash('sha256').update(bearer).digest('hex'));
    expect(proofKey).toBe(createHmac('sha256', token).update('gantry pod proof').digest('base64url'));
  });
});

describe('the end of a pod', () => {
  const exited = {
    name: 'p',
    labels: {},
    phase: 'exited' as const,
    exitCode: 0,
    outOfMemory: false,
    detail: '',
  };
  const limits = { memoryBytes: 2 ** 30 };
  it.each([
    [{ exitCode: 137, outOfMemory: true }, 'out_of_memory', 'OOMKilled, exit code 137'],
    [{ exitCode: 137 }, 'killed', '137, SIGKILL'],
    [{ exitCode: 139 }, 'killed', 'signal 11'],
    [{ exitCode: 75 }, 'ingest_unreachable', 'could not reach ingest'],
    [{ exitCode: 1, detail: 'runc: no space' }, 'pod_ended', 'exit code 1. runc: no space'],
  ])('is told with its code: %o', (how, code, words) => {
    expect(reasonOfEnd({ ...exited, ...how }, limits, '')).toMatchObject({
      code,
      message: expect.stringContaining(words),
    });
  });
});

describe('an image reference', () => {
  it.each([
    ['quay.io/ansible/awx-ee:latest', 'quay.io/ansible/awx-ee'],
    ['127.0.0.1:5000/ee', '127.0.0.1:5000/ee'],
    ['127.0.0.1:5000/ee:1@sha256:ab', '127.0.0.1:5000/ee'],
  ])('%s is of the repository %s', (image, repository) => expect(repositoryOf(image)).toBe(repository));
});

describe('a sealed assertion', () => {
  const seal = createSeal(Buffer.alloc(32, 7));
  const sealed = seal.close('job-1', 'assertion');
  it('opens for its job', () => expect(seal.open('job-1', sealed)).toBe('assertion'));
  it('does not open for another job, with another key, or changed', () => {
    expect(seal.open('job-2', sealed)).toBeNull();
    expect(createSeal(Buffer.alloc(32, 8)).open('job-1', sealed)).toBeNull();
    sealed[20]! ^= 1;
    expect(seal.open('job-1', sealed)).toBeNull();
  });
});

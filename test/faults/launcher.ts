/** What the launcher tells ingest before and after a pod, said in its name: opens records for pods that the tests play. */
import { randomUUID } from 'node:crypto';
import type { CommandSpec, InputOf } from '@gantry/contracts/command';
import { CloseRecord, OpenRecord } from '@gantry/contracts/record';
import { commandSubject, headers as names } from '@gantry/contracts/subjects';
import { connect, headers, nkeyAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { seeded } from '../e2e/objects.js';
import { portOf, seedOf } from './parts.js';
import { createPod, type Pod } from './pod.js';

let connection: Promise<NatsConnection> | null = null;
let organization: Promise<string> | null = null;

const nats = (): Promise<NatsConnection> =>
  (connection ??= connect({
    servers: `127.0.0.1:${portOf('nats')}`,
    inboxPrefix: '_INBOX.launcher',
    maxReconnectAttempts: -1,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seedOf('launcher'))),
  }));

const call = async <C extends CommandSpec>(command: C, input: InputOf<C>): Promise<unknown> => {
  const marks = headers();
  marks.set(names.correlationId, randomUUID());
  marks.set(names.actor, encodeURIComponent(JSON.stringify({ kind: 'system', id: 'tests', name: 'tests' })));
  const reply = await (
    await nats()
  ).request(commandSubject(command), JSON.stringify(input), {
    timeout: 10_000,
    headers: marks,
  });
  const answer = reply.json<{ ok?: unknown; error?: { message: string } }>();
  if (answer.error) throw new Error(answer.error.message);
  return answer.ok;
};

/** Opens the record of a job (of a new one when `jobId` is left out) for a pod of this attempt, which then may send. */
export const openPod = async (jobId: string = randomUUID(), epoch = 1): Promise<Pod> => {
  organization ??= seeded().then(({ organizationId }) => organizationId);
  const pod = createPod(jobId, epoch);
  await call(OpenRecord, {
    jobId,
    epoch,
    organizationId: await organization,
    bearerSha256: pod.bearerSha256,
    payload: {
      project: { sha256: '0'.repeat(64), sizeBytes: 0 },
      inventory: { sha256: '1'.repeat(64), sizeBytes: 0 },
      playbook: 'site.yml',
      arguments: [],
      environment: {},
      extraVars: {},
      timeoutSeconds: 0,
    },
  });
  return pod;
};

/** The pod is gone: what there is is sealed. */
export const closeRecord = (jobId: string, epoch = 1): Promise<unknown> =>
  call(CloseRecord, { jobId, epoch, reason: { code: 'gone', message: 'The pod is gone.' } });

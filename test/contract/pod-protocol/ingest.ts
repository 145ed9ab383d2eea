/** Real ingest and vault processes, as built, over the testkit's Postgres and nats-server; asked as the launcher asks them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { serviceNames, type CommandSpec, type InputOf } from '@gantry/contracts/command';
import { CreateGrant } from '@gantry/contracts/credential';
import { CancelRecord, CloseRecord, OpenRecord } from '@gantry/contracts/record';
import { commandSubject, eventSubjects, headers as names, OBJECT_BUCKET } from '@gantry/contracts/subjects';
import { eventually } from '@gantry/testkit/eventually';
import { freePort } from '@gantry/testkit/free-port';
import { startNats } from '@gantry/testkit/nats';
import { startPostgres } from '@gantry/testkit/postgres';
import { Objm } from '@nats-io/obj';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { v7 as newId } from 'uuid';
import { keysOf, type Attempt } from './pod.js';
import type { PodServer } from './suite.js';

const root = join(import.meta.dirname, '../../..');
const built = (app: string): string => {
  const file = join(root, 'apps', app, 'dist/main.js');
  if (!existsSync(file)) throw new Error(`${file} is not there: build first (npx nx run-many -t build).`);
  return file;
};

/** A running ingest as a PodServer, and what else this one can tell. */
export interface Ingest extends PodServer {
  /** Integrity alarms of a job so far, from its events on NATS. */
  alarms(jobId: string): number;
  stop(): Promise<void>;
}

/** Starts everything; about five seconds. */
export const startIngest = async (): Promise<Ingest> => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-pod-protocol-'));
  const [postgres, server] = await Promise.all([startPostgres(), startNats({ config: 'max_payload: 8MB' })]);
  const children: Process[] = [];
  let nats: NatsConnection | undefined;
  const stop = async (): Promise<void> => {
    await nats?.close();
    await Promise.all(children.map(({ child }) => ended(child)));
    await Promise.all([server.stop(), postgres.stop()]);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await migrate(postgres.adminUrl, server.url);
    const ports = [await freePort(), await freePort(), await freePort()];
    for (const [index, service] of ['ingest', 'vault'].entries()) {
      const url = new URL(postgres.adminUrl);
      [url.username, url.password, url.pathname] = [`gantry_${service}`, password(service), '/gantry'];
      const env = {
        [`GANTRY_${service.toUpperCase()}_POSTGRES_URL`]: url.href,
        [`GANTRY_${service.toUpperCase()}_HTTP`]: `127.0.0.1:${ports[index]}`,
        GANTRY_NATS_URL: server.url,
        GANTRY_INGEST_PODS_HTTP: `127.0.0.1:${ports[2]}`,
        // The testkit's Postgres does not flush to the disk.
        GANTRY_INGEST_ALLOW_UNSAFE: '1',
        GANTRY_VAULT_KEY_FILE: join(folder, 'vault.key'),
        GANTRY_LOG_LEVEL: 'warn',
      };
      children.push(startProcess(service, env));
    }
    for (const port of ports.slice(0, 2))
      await eventually(
        async () => {
          const over = children.find(({ child }) => child.exitCode !== null);
          return over ? { failed: over.words() } : (await fetch(`http://127.0.0.1:${port}/readyz`)).ok && {};
        },
        { timeoutMs: 60_000, what: 'ingest and vault to be ready' },
      ).then(({ failed }: { failed?: string }) => {
        if (failed !== undefined) throw new Error(`A service ended at once: ${failed}`);
      });
    nats = await connect({ servers: server.url, name: 'pod-protocol' });
    return { ...(await drive(nats, `http://127.0.0.1:${ports[2]}`)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
};

interface Process {
  child: ChildProcess;
  /** What it said last. */
  words(): string;
}

const startProcess = (service: string, env: Record<string, string>): Process => {
  const child = spawn(process.execPath, [built(service)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let words = '';
  const keep = (text: Buffer) => (words = (words + String(text)).slice(-2_000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return { child, words: () => `${service}: ${words}` };
};

/** The launcher's side of a job, by its commands. */
const drive = async (nats: NatsConnection, url: string): Promise<Omit<Ingest, 'stop'>> => {
  const [project, inventory] = [Buffer.from('a tar'), Buffer.from('{"_meta":{"hostvars":{}}}')];
  const bucket = await new Objm(nats).open(OBJECT_BUCKET);
  const describe = (bytes: Buffer) => ({
    sha256: createHash('sha256').update(bytes).digest('hex'),
    sizeBytes: bytes.length,
  });
  for (const bytes of [project, inventory]) {
    const stream = Readable.toWeb(Readable.from([bytes])) as ReadableStream<Uint8Array>;
    await bucket.put({ name: describe(bytes).sha256 }, stream);
  }
  const alarms: string[] = [];
  nats.subscribe(eventSubjects('record.integrity_alarm'), {
    callback: (_, message) => void alarms.push(message.subject),
  });
  const call = <C extends CommandSpec>(command: C, input: InputOf<C>) => ask(nats, command, input);
  const organizationId = newId();
  const payload = {
    project: describe(project),
    inventory: describe(inventory),
    playbook: 'site.yml',
    arguments: [],
    environment: {},
    extraVars: {},
    timeoutSeconds: 0,
  };
  return {
    url,
    project,
    inventory,
    openJob: async (next = { jobId: newId(), epoch: 1 }): Promise<Attempt> => {
      const token = randomBytes(32).toString('base64url');
      const { bearer, proofKey } = keysOf(token);
      const bearerSha256 = createHash('sha256').update(bearer).digest('hex');
      await call(OpenRecord, { ...next, organizationId, bearerSha256, payload });
      await call(CreateGrant, { ...next, credentials: [], proofKey: proofKey.toString('base64url') });
      return { ...next, token };
    },
    cancelJob: ({ jobId }) => call(CancelRecord, { jobId }),
    closeJob: ({ jobId, epoch }) =>
      call(CloseRecord, { jobId, epoch, reason: { code: 'pod_ended', message: 'The pod ended.' } }),
    alarms: (jobId) => alarms.filter((subject) => subject.endsWith(jobId)).length,
  };
};

/** A command in the launcher's name. Throws with the answer's sentence. */
const ask = async <C extends CommandSpec>(nats: NatsConnection, command: C, input: InputOf<C>) => {
  const sent = headers();
  sent.set(names.correlationId, newId());
  sent.set(names.actor, encodeURIComponent('{"kind":"system","id":"launcher","name":"launcher"}'));
  sent.set(names.deadline, String(Date.now() + 10_000));
  const reply = await nats.request(commandSubject(command), JSON.stringify(input), {
    timeout: 10_000,
    headers: sent,
  });
  const answer = reply.json<{ error?: { message: string } }>();
  if (answer.error) throw new Error(`${command.name}: ${answer.error.message}`);
};

const password = (service: string): string => `test-${service}`;

/** `gantry migrate`: roles, schemas, tables and streams as in production. */
const migrate = (postgresUrl: string, natsUrl: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const passwords = Object.fromEntries(
      serviceNames.map((name) => [`GANTRY_${name.toUpperCase()}_POSTGRES_PASSWORD`, password(name)]),
    );
    const env = { ...process.env, ...passwords, GANTRY_POSTGRES_URL: postgresUrl, GANTRY_NATS_URL: natsUrl };
    const child = spawn(process.execPath, [built('cli'), 'migrate'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let words = '';
    child.stderr.on('data', (text) => (words += String(text)));
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`gantry migrate: ${words}`))));
  }); // prettier-ignore

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });

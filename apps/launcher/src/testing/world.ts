/** A launcher with real Postgres and NATS; the other services are played, each over its own NATS connection. */
import { createHash, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { connectNats, type NatsConnection } from '@gantry/bus/connect';
import { createObjectStore, type ObjectStore } from '@gantry/bus/objects';
import { createPublisher } from '@gantry/bus/publish';
import type { Principal } from '@gantry/contracts/access';
import type { CommandSpec, ReceivedBy } from '@gantry/contracts/command';
import { CloseGrant, CreateGrant, PinCredentials } from '@gantry/contracts/credential';
import {
  CheckImage,
  ListCurrentImages,
  LookUpDigest,
  NoteDigest,
  ResolveExecutionEnvironment,
} from '@gantry/contracts/ee';
import { makeEvent, type EventOf, type EventSpec } from '@gantry/contracts/envelope';
import { PlatformError, toWire } from '@gantry/contracts/errors';
import {
  NoteImageContents,
  NoteImageOnEngine,
  NoteInspectionFailure,
  type ImageContents,
} from '@gantry/contracts/image';
import { GetJob, GetTimeline, LaunchJob, type Job, type Reason } from '@gantry/contracts/job';
import {
  CancelRecord,
  CloseRecord,
  ListHostSummaries,
  OpenRecord,
  RecordSealed,
} from '@gantry/contracts/record';
import { commandSubject } from '@gantry/contracts/subjects';
import {
  CompareInventories,
  PinProject,
  RepeatSnapshot,
  SnapshotInventory,
  SnapshotJobTemplate,
  type LaunchSnapshot,
} from '@gantry/contracts/template';
import { provision } from '@gantry/eventlog/migrate';
import { startService, type RunningService } from '@gantry/service/boot';
import {
  createTestCaller,
  createTestIssuer,
  testConfig,
  testPrincipal,
  type TestCaller,
} from '@gantry/service/testing';
import { vi } from 'vitest';
import { launcherModule } from '../app.module.js';
import type { LauncherConfig } from '../config.js';
import { FakeMachine } from './fake-pods.js';

type Played = Record<string, (input: never) => unknown>;
type Seal = EventOf<typeof RecordSealed>['data'];
const hash = createHash('sha256').update('x').digest('hex');

/** What the played services know, and what they may be told to do. */
export class Neighbours {
  readonly organizationId = randomUUID();
  readonly seals = new Map<string, Seal>();
  readonly opened: ReceivedBy<typeof OpenRecord>[] = [];
  readonly grants: ReceivedBy<typeof CreateGrant>[] = [];
  readonly closed: string[] = [];
  readonly cancelled: string[] = [];
  readonly notedDigests: string[] = [];
  readonly onEngine: string[] = [];
  /** Answers to requests to look into images. */
  readonly inspected: { digest: string; found: ImageContents | Reason }[] = [];
  /** Answers in place of the usual one, by command name; throws to refuse. */
  readonly instead: Played = {};
  /** Called when a record's cancel is set. */
  onCancel: (jobId: string) => void = () => undefined;
  image = 'localhost/ee:1';
  currentImages: { image: string; digest: string | null }[] = [];
  snapshot: Partial<LaunchSnapshot> = {};

  /** The agent's last word, as ingest would have sealed it. */
  sealOf(jobId: string, said: Partial<Seal> = {}): Seal {
    return {
      jobId,
      epoch: 1,
      lastCounter: 5,
      lastLine: 9,
      sha256: hash,
      status: 'successful',
      exitCode: 0,
      reason: null,
      artifacts: { a: 1 },
      ...said,
    };
  }

  private readonly usual: Played = {
    [SnapshotJobTemplate.name]: ({ jobTemplate }: ReceivedBy<typeof SnapshotJobTemplate>): LaunchSnapshot => ({
      name: jobTemplate, description: '', organizationId: this.organizationId, jobType: 'run', projectId: this.organizationId, playbook: 'site.yml', scmBranch: '',
      credentialIds: [], executionEnvironmentId: null, extraVars: {}, limit: '', forks: 0, verbosity: 0, jobTags: '', skipTags: '', diffMode: false,
      becomeEnabled: false, timeoutSeconds: 0, allowSimultaneous: true, jobTemplateId: this.organizationId, jobTemplateVersion: 1,
      inventoryId: this.organizationId, projectName: 'p', inventoryName: 'i', ...this.snapshot,
    }), // prettier-ignore
    [PinProject.name]: () => ({ commit: 'c0ffee', branch: 'main', archive: { sha256: hash, sizeBytes: 1 } }),
    [SnapshotInventory.name]: () => ({ object: { sha256: hash, sizeBytes: 2 }, totalHosts: 3 }),
    [ResolveExecutionEnvironment.name]: () => ({
      id: this.organizationId,
      name: 'EE',
      image: this.image,
      pull: 'missing',
      digest: null,
      reason: 'the default',
      from: 'setting',
      resolution: 'local',
    }),
    [RepeatSnapshot.name]: ({ snapshot, changes }: ReceivedBy<typeof RepeatSnapshot>) => ({
      snapshot: { ...snapshot, ...(changes.extraVars ? { extraVars: { ...snapshot.extraVars, ...changes.extraVars } } : {}) },
      ownCredentials: [],
    }), // prettier-ignore
    [CompareInventories.name]: () => ({
      added: { total: 1, names: ['new'] },
      removed: { total: 0, names: [] },
      changed: { total: 0, names: [] },
      groupsChanged: false,
    }),
    [CheckImage.name]: () => ({ found: 'gone', words: 'manifest unknown', credentialId: null }),
    [ListHostSummaries.name]: () => ({ items: [], hasNextPage: false, totalCount: 0 }),
    [NoteDigest.name]: ({ digest }: ReceivedBy<typeof NoteDigest>) => {
      this.notedDigests.push(digest);
      return {};
    },
    [LookUpDigest.name]: () => ({
      name: 'EE',
      image: this.image,
      pull: 'missing',
      digest: 'sha256:d1',
      organizationId: this.organizationId,
      platforms: null,
    }),
    [ListCurrentImages.name]: () => ({ images: this.currentImages }),
    [NoteImageOnEngine.name]: ({ digest }: ReceivedBy<typeof NoteImageOnEngine>) => {
      this.onEngine.push(digest);
      return {};
    },
    [NoteImageContents.name]: ({ digest, contents }: ReceivedBy<typeof NoteImageContents>) => {
      this.inspected.push({ digest, found: contents });
      return {};
    },
    [NoteInspectionFailure.name]: ({ digest, reason }: ReceivedBy<typeof NoteInspectionFailure>) => {
      this.inspected.push({ digest, found: reason });
      return {};
    },
    [PinCredentials.name]: () => ({ credentials: [] }),
    [CreateGrant.name]: (input: ReceivedBy<typeof CreateGrant>) => {
      this.grants.push(input);
      return {};
    },
    [CloseGrant.name]: () => ({}),
    [OpenRecord.name]: (input: ReceivedBy<typeof OpenRecord>) => {
      this.opened.push(input);
      return {};
    },
    [CancelRecord.name]: ({ jobId }: ReceivedBy<typeof CancelRecord>) => {
      this.cancelled.push(jobId);
      this.onCancel(jobId);
      return {};
    },
    [CloseRecord.name]: ({ jobId, epoch, reason }: ReceivedBy<typeof CloseRecord>) => {
      if (!this.opened.some((record) => record.jobId === jobId))
        throw new PlatformError('not_found', 'There is no such record.');
      this.closed.push(jobId);
      const seal =
        this.seals.get(jobId) ??
        this.sealOf(jobId, {
          epoch,
          status: null,
          exitCode: null,
          reason: reason as Reason | null,
          artifacts: {},
        });
      this.seals.set(jobId, seal);
      return { seal };
    },
  };

  /** Answers a command. */
  answer({ name, input }: CommandSpec, body: unknown): string {
    try {
      const parsed = input.safeParse(body);
      if (!parsed.success) throw new PlatformError('invalid', `${name}: ${parsed.error.message}`);
      return JSON.stringify({ ok: (this.instead[name] ?? this.usual[name])!(parsed.data as never) });
    } catch (error) {
      return JSON.stringify({ error: toWire(error) });
    }
  }
}

const played: CommandSpec[] = [
  SnapshotJobTemplate, PinProject, SnapshotInventory, ResolveExecutionEnvironment, LookUpDigest, ListCurrentImages, NoteDigest, NoteImageOnEngine,
  NoteImageContents, NoteInspectionFailure, PinCredentials, CreateGrant, CloseGrant, OpenRecord,
  CancelRecord, CloseRecord, RepeatSnapshot, CompareInventories, CheckImage, ListHostSummaries,
]; // prettier-ignore

/** Everything a test of the launcher has. */
export interface World {
  neighbours: Neighbours;
  machine: FakeMachine;
  gateway: TestCaller;
  alice: Principal;
  adminUrl: string;
  /** What the launcher finds in the object store. */
  objects: ObjectStore;
  /** Another replica; also after a `stop`. */
  startLauncher(change?: Partial<LauncherConfig>): Promise<RunningService>;
  launch(template?: string, key?: string): Promise<string>;
  job(jobId: string): Promise<Job>;
  timeline(jobId: string): Promise<string[]>;
  /** Waits until the job is as it should be. */
  until(jobId: string, what: (job: Job) => boolean): Promise<Job>;
  /** Publishes an event as another service's relay would. */
  publish<S extends EventSpec>(spec: S, stream: string, data: EventOf<S>['data']): Promise<void>;
  close(): Promise<void>;
}

/** The servers of a test, from the testkit; `close` of the world ends them. */
export interface Servers {
  database: { adminUrl: string; name: string; rolePrefix: string; drop(): Promise<void> };
  nats: { url: string; stop(): Promise<void> };
}

/** Starts the neighbours, but no launcher. */
export const createWorld = async ({ database, nats }: Servers): Promise<World> => {
  const issuer = await createTestIssuer();
  const urls = await provision({
    adminUrl: database.adminUrl,
    database: database.name,
    rolePrefix: database.rolePrefix,
    services: [
      {
        name: 'launcher',
        password: 'test-launcher',
        migrationsDir: fileURLToPath(new URL('../../migrations/', import.meta.url)),
      },
    ],
  });
  const neighbours = new Neighbours();
  const machine = new FakeMachine();
  const connection = await connectNats({ url: nats.url, name: 'neighbours' });
  play(connection, neighbours);
  const gateway = await createTestCaller({ natsUrl: nats.url, service: 'gateway', issuer });
  const alice = testPrincipal({
    username: 'alice',
    organizations: { [neighbours.organizationId]: ['execute'] },
  });
  const publisher = createPublisher(connection);
  const running: RunningService[] = [];
  const config: LauncherConfig = {
    base: testConfig({ service: 'launcher', postgresUrl: urls['launcher']!, natsUrl: nats.url, keys: issuer.keys, logLevel: (process.env['GANTRY_TEST_LOG'] as 'info') ?? 'silent' }),
    containerHost: 'unix:///nonexistent', podsUrl: 'unix:///run/pods/ingest.sock', podTokenKey: Buffer.alloc(32, 1), agentSource: Buffer.from('pass'), inspectorSource: Buffer.from('pass'),
    podNetwork: 'none', podLimits: { memoryBytes: 2 ** 30, cpus: 0, processes: 64 }, maxConcurrentJobs: 10, pullSettings: { attempts: 3, timeoutMilliseconds: 60_000 }, imageKeepDays: 0,
  }; // prettier-ignore
  const job = (jobId: string) => gateway.call(GetJob, { jobId }, { principal: alice });
  let keys = 0;
  return {
    neighbours, machine, gateway, alice, job,
    objects: createObjectStore(connection),
    adminUrl: database.adminUrl,
    startLauncher: async (change = {}) => {
      const service = await startService(launcherModule({ ...config, ...change }, machine.driver()), config.base);
      running.push(service);
      return service;
    },
    launch: async (jobTemplate = 'Deploy', key = `key-${++keys}`) =>
      (await gateway.call(LaunchJob, { jobTemplate, idempotencyKey: key }, { principal: alice })).jobId,
    timeline: async (jobId) => (await gateway.call(GetTimeline, { jobId }, { principal: alice })).entries.map((entry) => entry.type),
    until: (jobId, what) =>
      vi.waitFor(
        async () => {
          const seen = await job(jobId);
          if (!what(seen)) throw new Error(`the job ${jobId} is ${seen.status}, ${JSON.stringify(seen.reason)}`);
          return seen;
        },
        { timeout: 20_000, interval: 20 },
      ),
    publish: async (spec, stream, data) => {
      const event = makeEvent(spec, randomUUID(), data as never);
      const meta = { actor: { kind: 'system' as const, id: 'ingest', name: 'ingest' }, correlationId: randomUUID() };
      await publisher.publish({ ...event, stream, streamVersion: 1, position: '1', transactionId: '1', at: new Date().toISOString(), hash: '', meta });
    },
    close: async () => {
      await Promise.all(running.map((service) => service.stop()));
      await gateway.close();
      await connection.close();
      await nats.stop();
      await database.drop();
    },
  }; // prettier-ignore
};

const play = (connection: NatsConnection, neighbours: Neighbours): void => {
  for (const command of played) {
    connection.subscribe(commandSubject(command), {
      callback: (_, message) => void message.respond(neighbours.answer(command, message.json())),
    });
  }
};

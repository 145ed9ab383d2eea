/** A gateway on a real NATS; the services behind it are played, each over its own connection, with a record that a test writes. */
import { randomUUID } from 'node:crypto';
import { connectNats, type NatsConnection } from '@gantry/bus/connect';
import { publishLive, subscribeWatched } from '@gantry/bus/live';
import type { Principal } from '@gantry/contracts/access';
import type { CommandSpec, OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { PlatformError, toWire } from '@gantry/contracts/errors';
import { VerifyToken } from '@gantry/contracts/identity';
import { GetJob } from '@gantry/contracts/job';
import { ListJobEvents, ReadStdout, type JobEvent } from '@gantry/contracts/record';
import { commandSubject, eventSubject, headers } from '@gantry/contracts/subjects';
import { startService, type RunningService } from '@gantry/service/boot';
import { testConfig, testPrincipal } from '@gantry/service/testing';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { createClient, type Client } from 'graphql-ws';
import { WebSocket } from 'ws';
import { gatewayModule } from '../app.module.js';

const PAGE_EVENTS = 100;

type Page = OutputOf<typeof ListJobEvents>;

/** An event as ingest shows it. */
export const eventOf = (counter: number, said: Partial<JobEvent> = {}): JobEvent => ({
  counter,
  uuid: `u-${counter}`,
  parentUuid: null,
  event: 'verbose',
  stdout: `line ${counter}`,
  startLine: counter - 1,
  endLine: counter,
  created: null,
  host: null,
  task: null,
  play: null,
  role: null,
  failed: false,
  changed: false,
  eventData: {},
  ...said,
});

/** What the played services know and were asked. */
export class Neighbours {
  readonly jobId = randomUUID();
  readonly organizationId = randomUUID();
  readonly events: JobEvent[] = [];
  final: Page['final'] = null;
  /** False: the job waits, there is no record. */
  opened = true;
  /** Principals by token; a token that is not here is not good. */
  readonly tokens = new Map<string, Principal>();
  /** Reads of pages by the `events` of their filter (which is not applied: it tells watchers apart), and of rights alone. */
  readonly pagesRead = new Map<string, number>();
  rightsAsked = 0;
  /** Jobs that were said to be watched. */
  readonly watched = new Set<string>();
  /** All of them, answered or not. */
  asked = 0;
  /** Throws to play an ingest that is away. */
  ingestAway = false;

  /** A token of somebody who may read the job. */
  issue(): string {
    const token = `gantry_${randomUUID()}`;
    this.tokens.set(token, testPrincipal({ organizations: { [this.organizationId]: ['read'] } }));
    return token;
  }

  print(count: number, said: Partial<JobEvent> = {}): void {
    for (let index = 0; index < count; index++) this.events.push(eventOf(this.events.length + 1, said));
  }

  seal(): void {
    this.final = { count: this.events.length, sha256: 'a'.repeat(64), status: 'successful' };
  }

  page({ jobId, after, limit, filter }: ReceivedBy<typeof ListJobEvents>): Page {
    this.asked += 1;
    this.mustBeHere(jobId);
    if (after === 2 ** 31 - 1) this.rightsAsked += 1;
    else {
      const who = String(filter?.events ?? '');
      this.pagesRead.set(who, (this.pagesRead.get(who) ?? 0) + 1);
    }
    const wanted = this.events
      .slice(after)
      .filter(({ host }) => !filter?.hosts || filter.hosts.includes(host!));
    const events = wanted.slice(0, Math.min(limit, PAGE_EVENTS));
    const committedCounter = this.events.length;
    const lastCounter =
      events.length === PAGE_EVENTS
        ? events.at(-1)!.counter
        : Math.max(committedCounter, Math.min(after, 2 ** 30));
    return {
      events,
      lastCounter,
      committedCounter,
      final: lastCounter >= committedCounter ? this.final : null,
    };
  }

  stdout({ jobId, startLine, endLine, format }: ReceivedBy<typeof ReadStdout>): OutputOf<typeof ReadStdout> {
    this.mustBeHere(jobId);
    const end = Math.min(endLine ?? this.events.length, startLine + 1_000, this.events.length);
    const text = this.events
      .slice(startLine, end)
      .map(({ stdout }) => `${format === 'ansi' ? '' : `${format}: `}${stdout}\n`);
    return {
      text: text.join(''),
      startLine,
      endLine: Math.max(end, startLine),
      totalLines: this.events.length,
    };
  }

  private mustBeHere(jobId: string): void {
    if (this.ingestAway) throw new PlatformError('unavailable', 'ingest is away');
    if (jobId !== this.jobId || !this.opened)
      throw new PlatformError('not_found', 'There is no record of it.');
  }
}

/** The gateway under test and what stands around it. */
export interface World {
  neighbours: Neighbours;
  url: string;
  /** Says that the record has grown. */
  hint(): void;
  /** Publishes that a token was revoked. */
  revoked(): void;
  client(token: string): Client;
  stop(): Promise<void>;
}

/** Starts it. `stallMilliseconds`: how long a watcher may not read. */
export const startWorld = async (settings: { stallMilliseconds?: number } = {}): Promise<World> => {
  const nats = await startNats();
  const neighbours = new Neighbours();
  const [played, service] = await Promise.all([play(nats, neighbours), startGateway(nats, settings)]);
  const url = `http://127.0.0.1:${service.httpPort}`;
  return {
    neighbours,
    url,
    hint: () =>
      publishLive(played, {
        jobId: neighbours.jobId,
        committedCounter: neighbours.events.length,
        sealed: neighbours.final !== null,
      }),
    revoked: () => {
      const stream = `token-${randomUUID()}`;
      played.publish(eventSubject('token.revoked', stream), JSON.stringify(envelopeOf(stream)));
    },
    client: (token) =>
      createClient({
        url: `${url.replace('http', 'ws')}/graphql`,
        webSocketImpl: WebSocket,
        retryAttempts: 0,
        connectionParams: { authorization: `Bearer ${token}` },
      }),
    stop: async () => {
      await service.stop();
      await played.close();
      await nats.stop();
    },
  };
};

const envelopeOf = (stream: string) => ({
  id: randomUUID(),
  stream,
  streamVersion: 2,
  position: '2',
  transactionId: '2',
  type: 'token.revoked',
  version: 1,
  at: new Date().toISOString(),
  meta: { actor: { kind: 'system', id: 'identity', name: 'identity' }, correlationId: randomUUID() },
  data: { tokenId: stream.slice('token-'.length) },
});

const startGateway = async (
  nats: NatsServer,
  { stallMilliseconds = 60_000 }: { stallMilliseconds?: number },
): Promise<RunningService> => {
  const base = testConfig({ service: 'gateway', postgresUrl: null, natsUrl: nats.url });
  return startService(gatewayModule({ base, webDir: undefined, maxBodyMib: 1, stallMilliseconds }), base);
};

const play = async (server: NatsServer, neighbours: Neighbours): Promise<NatsConnection> => {
  const nats = await connectNats({ url: server.url, name: 'played' });
  const answer = <C extends CommandSpec>(
    command: C,
    handle: (input: ReceivedBy<C>, principal: Principal) => OutputOf<C>,
  ): void => {
    nats.subscribe(commandSubject(command), {
      callback: (_error, message) => {
        try {
          const assertion = message.headers?.get(headers.assertion) || null;
          const principal = assertion === null ? null : (JSON.parse(assertion) as Principal);
          const ok = handle(command.input.parse(message.json()) as ReceivedBy<C>, principal!);
          message.respond(JSON.stringify({ ok }));
        } catch (error) {
          message.respond(JSON.stringify({ error: toWire(error) }));
        }
      },
    });
  };
  const authorized = (principal: Principal): void => {
    if (principal.organizations[neighbours.organizationId]?.includes('read')) return;
    throw new PlatformError('forbidden', 'tester may not read the output of the job.');
  };
  answer(VerifyToken, ({ token }) => {
    const principal = neighbours.tokens.get(token);
    if (!principal) throw new PlatformError('unauthenticated', 'This token was revoked.');
    return { principal, assertion: JSON.stringify(principal), assertionExpiresAt: '', tokenExpiresAt: null };
  });
  answer(ListJobEvents, (input, principal) => {
    authorized(principal);
    return neighbours.page(input);
  });
  answer(ReadStdout, (input, principal) => {
    authorized(principal);
    return neighbours.stdout(input);
  });
  answer(GetJob, ({ jobId }, principal) => {
    authorized(principal);
    if (jobId !== neighbours.jobId) throw new PlatformError('not_found', `There is no job ${jobId}.`);
    return { status: 'waiting' } as OutputOf<typeof GetJob>;
  });
  subscribeWatched(nats, (jobIds) => jobIds.forEach((jobId) => neighbours.watched.add(jobId)));
  await nats.flush();
  return nats;
};

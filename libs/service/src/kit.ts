/** What a service works with: everything shared by its commands, projections, reactions and loops. */
import type { Server } from 'node:http';
import type { ObjectStore } from '@gantry/bus/objects';
import type { CommandSpec } from '@gantry/contracts/command';
import type { EventEnvelope, StoredEvent } from '@gantry/contracts/envelope';
import type { EventLog } from '@gantry/eventlog/log';
import type { Projection } from '@gantry/eventlog/projection';
import type { Sql } from '@gantry/eventlog/sql';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Express } from 'express';
import type pg from 'pg';
import type { DataSource, EntitySchema, MixedList } from 'typeorm';
import type { CommandHandler } from './command-binding.js';
import type { Call } from './command-client.js';
import type { BaseConfig } from './config.js';
import type { CallContext } from './context.js';
import type { VerifyAssertion } from './assertion.js';
import type { Follower } from './lag.js';
import type { Logger } from './logger.js';

export type { Follower, NatsConnection, Logger };

/** Injection token of the ServiceKit, which `ServiceModule.forRoot(config)` of @gantry/service/module provides. */
export const KIT = Symbol('ServiceKit');

/** A read model of this service. */
export interface ProjectionDefinition {
  /** Unique in the service. */
  name: string;
  /** Its tables in the service's schema, parents before children. */
  tables: readonly string[];
  /** Event types it wants; all when left out. */
  types?: readonly string[];
  /** Applies one event through `sql` and nothing else. What it throws stops the projection (and readiness says so). */
  apply(event: StoredEvent, sql: Sql): Promise<void>;
}

/** What a service does when something happened elsewhere (or here). */
export interface ReactionDefinition {
  /** Kebab-case; the durable consumer is `<service>-<purpose>`. */
  purpose: string;
  /** Event types; the service must be declared for their nouns (`eventConsumers` in contracts/subjects). */
  types: readonly string[];
  /** Idempotent: an event may come more than once, and late. Errors are settled by code (`@gantry/bus/consume`). */
  handle(envelope: EventEnvelope, context: CallContext): Promise<void>;
}

/** Injected under the token `KIT`. Bind everything while the module is made, before it starts. */
export interface ServiceKit {
  readonly config: BaseConfig;
  readonly logger: Logger;
  /** As this service's role. Throws `unavailable` on use at the gateway, which has no database. */
  readonly pool: pg.Pool;
  /** This service's log; null at the gateway. Appends inside a handler are waited for by `handle`. */
  readonly log: EventLog | null;
  readonly nats: NatsConnection;
  readonly objects: ObjectStore;
  /** Fires when the service shuts down. */
  readonly signal: AbortSignal;
  /** Fires before that, when it takes no more requests and waits for those under way: those that would go on for ever end. */
  readonly leaving: AbortSignal;

  /** Sends a command to its owner. See `Call`. */
  call: Call;
  /** Checks an assertion as `handle` does: for doors that are not commands. */
  verify: VerifyAssertion;
  /**
   * Answers a command: input checked, assertion checked when it has a principal, output checked, errors as wire forms, and
   * the answer waits (at most 2 s) until the service's projections show what the handler appended.
   */
  handle<C extends CommandSpec>(command: C, handler: CommandHandler<C>): void;
  /** Runs a read model with the service. Throws `defect` at the gateway. */
  project(definition: ProjectionDefinition): Projection;
  /** Runs a durable consumer with the service. */
  react(definition: ReactionDefinition): void;
  /** TypeORM over the service's schema, for reading; closed with the service. */
  dataSource(entities: MixedList<Function | string | EntitySchema>): Promise<DataSource>; // eslint-disable-line @typescript-eslint/no-unsafe-function-type
  /** Runs in the background, again so many milliseconds after it ended; errors are logged; not started anew once the service stops. */
  every(name: string, milliseconds: number, run: () => Promise<void>): void;
  /** Runs before the service takes commands, projections going; tried again while it throws `unavailable`, fatal otherwise. In order. */
  onStart(run: () => Promise<void>): void;
  /** Runs at shutdown, when no command is under way any more and before NATS and Postgres close. In reverse order. */
  onStop(run: () => Promise<void> | void): void;
  /** Part of /readyz: throws when not ready. */
  ready(name: string, check: () => Promise<void>): void;
  /** Part of /readyz: `degraded`, and a line in the log, while what follows Postgres is more than `lagAlarmSeconds` behind. */
  follow<Mark>(name: string, follower: Follower<Mark>): void;
  /** Adds to the service's HTTP server (routes, upgrades) before it listens. */
  web(attach: (express: Express, server: Server) => void): void;
}

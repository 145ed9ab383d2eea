/** Makes the kit and runs what was bound to it: start and stop, in order. */
import { createObjectStore } from '@gantry/bus/objects';
import { connectNats } from '@gantry/bus/connect';
import { consume } from '@gantry/bus/consume';
import { ensureStreams } from '@gantry/bus/streams';
import { GetKeys } from '@gantry/contracts/identity';
import { PlatformError, asPlatformError } from '@gantry/contracts/errors';
import { commandSubject } from '@gantry/contracts/subjects';
import { createEventLog } from '@gantry/eventlog/log';
import { createProjection, type Projection } from '@gantry/eventlog/projection';
import { openPool } from '@gantry/eventlog/sql';
import type { NatsConnection } from '@nats-io/transport-node';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import { createAssertionVerifier } from './assertion.js';
import { bindCommand, type CommandHandler } from './command-binding.js';
import { createCall } from './command-client.js';
import { CommandServer } from './command-server.js';
import type { BaseConfig } from './config.js';
import { createContext, systemActor } from './context.js';
import { createHealth, type Health } from './health.js';
import type { ProjectionDefinition, ReactionDefinition, ServiceKit } from './kit.js';
import { createLagAlarm, lookMilliseconds } from './lag.js';
import { createLogger, type Logger } from './logger.js';
import { observedLog, observing, type Appended } from './observed-log.js';
import { pause } from './pause.js';
import { relayFollower, runRelay } from './relay.js';

/** The kit, and what `boot` does with it. */
export interface RunningKit extends ServiceKit {
  readonly transport: CommandServer;
  readonly health: Health;
  /** What `web` collected. */
  readonly attachments: readonly Parameters<ServiceKit['web']>[0][];
  /** Starts projections, relay, `onStart`, reactions and loops. */
  start(): Promise<void>;
  /** Fires `leaving`. */
  leave(): void;
  /** Stops everything in order; the second call waits for the first. */
  stop(): Promise<void>;
}

interface Bound {
  projections: { definition: ProjectionDefinition; projection: Projection }[];
  reactions: ReactionDefinition[];
  loops: { name: string; milliseconds: number; run: () => Promise<void> }[];
  starts: (() => Promise<void>)[];
  stops: (() => Promise<void> | void)[];
  dataSources: DataSource[];
  running: Set<Promise<void>>;
}

const caughtUpMilliseconds = 2_000;
const stopMilliseconds = 10_000;

/** Connects (waits for NATS and its streams as long as it takes) and makes the kit. */
export const createKit = async (config: BaseConfig): Promise<RunningKit> => {
  const logger = createLogger(config);
  const [abort, leaving] = [new AbortController(), new AbortController()];
  const nats = await reachNats(config, logger);
  const pool = config.postgresUrl === null ? noPool : openServicePool(config, logger);
  const log =
    config.postgresUrl === null ? null : observedLog(createEventLog({ pool, schema: config.service }));
  const transport = new CommandServer(nats, config.service);
  const health = createHealth({ service: config.service, nats, pool: log ? pool : null });
  const call = createCall(nats, config.service);
  const verify = createAssertionVerifier(async () => config.keys ?? call(GetKeys, {}));
  const bound: Bound = {
    projections: [],
    reactions: [],
    loops: [],
    starts: [],
    stops: [],
    dataSources: [],
    running: new Set(),
  };
  const attachments: Parameters<ServiceKit['web']>[0][] = [];
  const caughtUp = (appended: Appended, of: Logger): Promise<void> => waitForProjections(bound, appended, of);

  const kit: RunningKit = {
    config,
    logger,
    pool,
    log,
    nats,
    transport,
    health,
    attachments,
    call,
    verify,
    objects: createObjectStore(nats),
    signal: abort.signal,
    leaving: leaving.signal,
    handle: (command, handler) =>
      transport.answer(
        commandSubject(command),
        bindCommand(command, handler as CommandHandler<typeof command>, {
          service: config.service,
          logger,
          verify,
          caughtUp,
        }),
      ),
    project: (definition) => {
      if (!log)
        throw new PlatformError(
          'defect',
          `${config.service} has no log: it cannot project ${definition.name}.`,
        );
      const projection = createProjection({
        ...definition,
        log,
        pool,
        onRetry: (error) => logger.warn({ projection: definition.name, err: error }, 'projection waits'),
      });
      bound.projections.push({ definition, projection });
      health.addProjection(projection, log);
      return projection;
    },
    react: (definition) => void bound.reactions.push(definition),
    dataSource: async (entities) => {
      const source = await new DataSource({
        type: 'postgres',
        url: config.postgresUrl ?? undefined,
        schema: config.service,
        entities,
        synchronize: false,
        logging: false,
        poolSize: 5,
        applicationName: `gantry-${config.service}-read`,
      }).initialize();
      bound.dataSources.push(source);
      return source;
    },
    every: (name, milliseconds, run) => void bound.loops.push({ name, milliseconds, run }),
    onStart: (run) => void bound.starts.push(run),
    onStop: (run) => void bound.stops.push(run),
    ready: (name, check) => health.add(name, check),
    follow: (name, follower) => {
      const { lagAlarmSeconds: seconds } = config;
      const alarm = createLagAlarm({ name, seconds, follower, logger });
      health.addLag(name, alarm.check);
      kit.every(`lag of ${name}`, lookMilliseconds(seconds), alarm.look);
    },
    web: (attach) => void attachments.push(attach),
    start: () => startAll(kit, bound),
    leave: () => leaving.abort(),
    stop: () => (stopping ??= stopAll(kit, bound, abort)),
  };
  let stopping: Promise<void> | undefined;
  if (log) kit.follow('relay', relayFollower(log, pool));
  return kit;
};

const reachNats = async (config: BaseConfig, logger: Logger): Promise<NatsConnection> => {
  const never = new AbortController().signal;
  const nats = await connectNats({
    url: config.natsUrl,
    seedFile: config.natsSeedFile,
    name: `gantry-${config.service}`,
    service: config.service,
    waitForServer: true,
  });
  for (let attempt = 0; ; attempt++) {
    try {
      await ensureStreams(nats);
      return nats;
    } catch (error) {
      // Not there yet and not ours to make: the administrator makes them.
      if (attempt % 20 === 0) logger.warn({ err: error }, 'waiting for the JetStream streams');
      await pause(500, never);
    }
  }
};

const openServicePool = (config: BaseConfig, logger: Logger): pg.Pool =>
  openPool(config.postgresUrl!, {
    applicationName: `gantry-${config.service}`,
    onIdleError: (error) => logger.warn({ err: error }, 'a Postgres connection broke'),
  });

const noPool = new Proxy({} as pg.Pool, {
  get: () => {
    throw new PlatformError('defect', 'This service has no database.');
  },
});

const waitForProjections = async (bound: Bound, { last, types }: Appended, logger: Logger): Promise<void> => {
  const concerned = bound.projections.filter(
    ({ definition }) => !definition.types || definition.types.some((type) => types.has(type)),
  );
  await Promise.all(
    concerned.map(({ projection }) =>
      projection.caughtUp(last!, { timeoutMs: caughtUpMilliseconds }).catch((error: unknown) => {
        // It is committed: the answer must not say that it failed. Queries will show it later.
        logger.warn({ projection: projection.name, err: error }, 'answered before queries show it');
      }),
    ),
  );
};

const startAll = async (kit: RunningKit, bound: Bound): Promise<void> => {
  const { logger, signal, nats, log, pool, config } = kit;
  const background = (work: Promise<void>): void => {
    const tracked = work.finally(() => bound.running.delete(tracked));
    bound.running.add(tracked);
  };
  for (const { projection } of bound.projections) {
    background(
      projection
        .run(signal)
        .catch((error: unknown) =>
          logger.fatal({ projection: projection.name, err: error }, 'projection stopped'),
        ),
    );
  }
  if (log) background(runRelay({ log, pool, nats, logger }, signal));
  for (const run of bound.starts) {
    const { appended } = await observing(() => untilAvailable(run, logger, signal));
    // The first command may come at once and need what was made now.
    if (appended.last) await waitForProjections(bound, appended, logger);
  }
  for (const reaction of bound.reactions) {
    background(
      consume({
        nc: nats,
        service: config.service,
        purpose: reaction.purpose,
        types: reaction.types,
        logger,
        signal,
        handle: (envelope) => {
          const { correlationId, traceparent } = envelope.meta;
          return reaction.handle(
            envelope,
            createContext({
              actor: systemActor(config.service),
              correlationId,
              causationId: envelope.id,
              traceparent,
              logger,
            }),
          );
        },
      }),
    );
  }
  for (const loop of bound.loops) background(repeat(loop, logger, signal));
};

const untilAvailable = async (
  run: () => Promise<void>,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> => {
  while (!signal.aborted) {
    try {
      return await run();
    } catch (error) {
      if (asPlatformError(error).code !== 'unavailable') throw error;
      logger.warn({ err: error }, 'cannot start yet, trying again');
      await pause(1_000, signal);
    }
  }
};

const repeat = async (
  { name, milliseconds, run }: Bound['loops'][number],
  logger: Logger,
  signal: AbortSignal,
): Promise<void> => {
  while (!signal.aborted) {
    await run().catch((error: unknown) => {
      if (!signal.aborted) logger.error({ loop: name, err: error }, 'loop failed, it will run again');
    });
    await pause(milliseconds, signal);
  }
};

const stopAll = async (kit: RunningKit, bound: Bound, abort: AbortController): Promise<void> => {
  const { logger, transport, nats, pool } = kit;
  const step = async (name: string, work: () => Promise<unknown> | void): Promise<void> => {
    const limit = new AbortController();
    const late = pause(stopMilliseconds, limit.signal).then(() => {
      if (!limit.signal.aborted) logger.warn({ step: name }, 'shutdown does not wait any longer');
    });
    await Promise.race([
      Promise.resolve()
        .then(work)
        .catch((error: unknown) => logger.warn({ step: name, err: error }, 'shutdown step failed')),
      late,
    ]);
    limit.abort();
  };
  kit.health.stopping();
  await step('commands', () => transport.close());
  abort.abort();
  await step('background work', () => Promise.allSettled([...bound.running]));
  for (const run of [...bound.stops].reverse()) await step('onStop', run);
  await step('NATS', () => nats.drain());
  for (const source of bound.dataSources) await step('TypeORM', () => source.destroy());
  if (kit.log) await step('Postgres', () => pool.end());
};

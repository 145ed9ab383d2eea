/** Starting and ending a service: one in a process, or several side by side. */
import 'reflect-metadata';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ServiceName } from '@gantry/contracts/command';
import type { DynamicModule, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Express } from 'express';
import type { BaseConfig } from './config.js';
import type { RunningKit } from './create-kit.js';
import { KIT, type ServiceKit } from './kit.js';
import { createLogger, nestLogger, type Logger } from './logger.js';
import { pause } from './pause.js';

/** A service that takes commands. */
export interface RunningService {
  readonly kit: ServiceKit;
  /** Port that health is served on. */
  readonly httpPort: number;
  /** Stops taking work, finishes what is under way, closes NATS and Postgres. */
  stop(): Promise<void>;
}

/** Starts a service; resolves when it takes commands. `module` imports `ServiceModule.forRoot(config)`. Touches no signals: for tests, and for `runService`. */
export const startService = async (
  module: Type | DynamicModule,
  config: BaseConfig,
): Promise<RunningService> => {
  const logger = createLogger(config);
  const app = await NestFactory.create<NestExpressApplication>(module, {
    logger: nestLogger(logger),
    bodyParser: false,
    abortOnError: false,
  });
  const kit = app.get<RunningKit>(KIT);
  const server = app.getHttpServer() as Server;
  const requestsDone = countRequests(server);
  const stop = async (): Promise<void> => {
    kit.leave();
    await requestsDone();
    await kit.stop();
    server.closeAllConnections();
    await app.close();
  };
  try {
    const express = app.getHttpAdapter().getInstance() as Express;
    serveHealth(express, kit);
    for (const attach of kit.attachments) attach(express, server);
    await app.listen(config.http.port, config.http.host);
    await kit.start();
    app.connectMicroservice({ strategy: kit.transport });
    await app.startAllMicroservices();
    // Subscriptions are with the server, and so is whoever asks after this.
    await kit.nats.flush();
    kit.health.started();
  } catch (error) {
    await stop();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  logger.info({ http: `${config.http.host}:${port}` }, 'ready');
  return { kit, httpPort: port, stop };
};

const requestMilliseconds = 5_000;

/** Gives what stops a server from taking connections and resolves when no request is under way (or after 5 s). */
const countRequests = (server: Server): (() => Promise<void>) => {
  let underWay = 0;
  let idle: () => void = () => undefined;
  server.on('request', (_request, response) => {
    underWay += 1;
    response.once('close', () => {
      underWay -= 1;
      if (underWay === 0) idle();
    });
  });
  return async () => {
    server.close();
    server.closeIdleConnections();
    if (underWay === 0) return;
    const limit = new AbortController();
    await Promise.race([
      new Promise<void>((resolve) => (idle = resolve)),
      pause(requestMilliseconds, limit.signal),
    ]);
    limit.abort();
  };
};

const serveHealth = (express: Express, kit: RunningKit): void => {
  express.get('/healthz', (_request, response) => {
    response.json({ service: kit.config.service, alive: true });
  });
  express.get('/readyz', async (_request, response) => {
    const readiness = await kit.health.readiness();
    response.status(readiness.ready ? 200 : 503).json(readiness);
  });
};

interface Hosted {
  logger: Logger;
  stop: () => Promise<void>;
}

const hosted: Hosted[] = [];
let ending: Promise<void> | undefined;

/** Ends every service of the process, then the process. A second signal does not hurry it: what is under way matters. */
const endProcess = (code: number): Promise<void> =>
  (ending ??= Promise.allSettled(hosted.map(({ stop }) => stop())).then(() => {
    process.exit(code);
  }));

const listenForEnd = (): void => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      hosted[0]?.logger.info({ signal }, 'shutting down');
      void endProcess(0);
    });
  }
  const fatal = (error: unknown): void => {
    hosted[0]?.logger.fatal(
      { err: error instanceof Error ? error : new Error(String(error)) },
      'uncaught: the process ends',
    );
    process.exitCode = 1;
    // State is unknown: no orderly shutdown. The log line is out, pino writes synchronously.
    process.exit(1);
  };
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);
};

/**
 * Runs a service until the process is told to end (SIGTERM, SIGINT); resolves when it takes commands. May be called for
 * several services in one process; a signal stops them all, then the process exits with 0. What goes uncaught is logged
 * and ends the process with 1, and so does a service that cannot start.
 */
export const runService = async (
  name: ServiceName,
  module: Type | DynamicModule,
  config: BaseConfig,
): Promise<void> => {
  const logger = createLogger(config);
  const entry: Hosted = { logger, stop: async () => undefined };
  hosted.push(entry);
  if (hosted.length === 1) listenForEnd();
  try {
    const service = await startService(module, config);
    entry.stop = service.stop;
  } catch (error) {
    logger.fatal({ err: error }, `${name} cannot start`);
    await endProcess(1);
  }
};

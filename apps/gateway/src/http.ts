/** The gateway's HTTP: GraphQL at /graphql, plain endpoints under /api, the page everywhere else. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import { expressMiddleware } from '@as-integrations/express5';
import { ApolloArmor } from '@escape.tech/graphql-armor';
import { errorTreatments, toWire } from '@gantry/contracts/errors';
import type { ServiceKit } from '@gantry/service/kit';
import express, { type Application, type NextFunction, type Request, type Response } from 'express';
import { createApi } from './api.js';
import type { GatewayConfig } from './config.js';
import { createContext, type ContextDependencies, type GraphqlContext } from './context.js';
import { formatError } from './errors.js';
import { mountExport } from './export.routes.js';
import { createJobTails } from './job-tails.js';
import { createLiveFeed } from './live-feed.js';
import { createSchema } from './schema.js';
import { bearerOf, createSessions } from './session.js';
import { createWatchRights } from './watch-rights.js';
import { serveSubscriptions } from './websocket.js';

/** What a document may ask for at most: enough for every page we know, little enough to be harmless. */
const armor = () =>
  new ApolloArmor({
    maxDepth: { enabled: true, n: 12 },
    maxAliases: { enabled: true, n: 60 },
    maxDirectives: { enabled: true, n: 20 },
    maxTokens: { enabled: true, n: 4_000 },
    costLimit: { enabled: false },
    blockFieldSuggestion: { enabled: false },
  }).protect();

/** Serves GraphQL, subscriptions and the page on the service's HTTP server. */
export const mountGateway = async (kit: ServiceKit, config: GatewayConfig): Promise<void> => {
  const schema = createSchema();
  const deps = createDependencies(kit);
  const format = formatError(kit.logger);
  const limits = armor();
  const apollo = new ApolloServer<GraphqlContext>({
    schema,
    formatError: format,
    introspection: true,
    includeStacktraceInErrorResponses: false,
    allowBatchedHttpRequests: false,
    stopOnTerminationSignals: false,
    plugins: limits.plugins as ApolloServerPlugin<GraphqlContext>[],
    validationRules: limits.validationRules,
  });
  await apollo.start();
  const graphql = expressMiddleware(apollo, { context: async ({ req }) => (req as WithContext).gantry });
  kit.web((app, server) => {
    // Longer than clients and proxies keep an idle connection: else one of them sends on it just when it is closed.
    server.keepAliveTimeout = 75_000;
    app.disable('x-powered-by');
    app.use(securityHeaders);
    mountExport(app, deps);
    app.use(
      '/api',
      createApi({ createContext: (token) => createContext(deps, token), stopping: kit.leaving }),
    );
    // The token is looked at before the body is read.
    app.use(
      '/graphql',
      authenticate(deps),
      express.json({ limit: `${config.maxBodyMib}mb` }),
      graphql,
      onError,
    );
    if (config.webDir && existsSync(join(config.webDir, 'index.html'))) servePage(app, config.webDir);
    const stopSubscriptions = serveSubscriptions({
      server,
      path: '/graphql',
      schema,
      validationRules: limits.validationRules,
      createContext: (token) => createContext(deps, token),
      formatError: format,
      stallMilliseconds: config.stallMilliseconds,
    });
    kit.onStop(stopSubscriptions);
  });
  kit.onStop(() => apollo.stop());
};

/** Identity's read model may lag behind its events by so much: rights are looked at again after it. */
const LAG_MILLISECONDS = 1_000;

const createDependencies = (kit: ServiceKit): ContextDependencies & { kit: ServiceKit } => {
  const sessions = createSessions(kit);
  const live = createLiveFeed(kit);
  // Before the tails hear of it: they wake the watchers, who then ask for their session.
  live.onAccess(() => {
    sessions.forget();
    setTimeout(sessions.forget, LAG_MILLISECONDS).unref();
  });
  return { kit, sessions, live, tails: createJobTails(live), rights: createWatchRights() };
};

type WithContext = Request & { gantry: GraphqlContext };

/** Nobody gets past here without a good token; the answer is GraphQL's form of an error. */
const authenticate =
  (deps: Parameters<typeof createContext>[0]) => (req: Request, _res: Response, next: NextFunction) => {
    createContext(deps, bearerOf(req.headers.authorization)).then((context) => {
      (req as WithContext).gantry = context;
      next();
    }, next);
  };

const onError = (error: unknown, _req: Request, res: Response, next: NextFunction) => {
  if (res.headersSent) return next(error);
  const http = error as { status?: number; type?: string };
  const wire =
    http.type === 'entity.too.large'
      ? { code: 'invalid' as const, message: 'The request is too large.' }
      : http.type === 'entity.parse.failed'
        ? { code: 'invalid' as const, message: 'The request is not JSON.' }
        : toWire(error);
  const { http: status, graphql } = errorTreatments[wire.code];
  res.status(status).json({ errors: [{ message: wire.message, extensions: { code: graphql } }] });
};

/** The page is all our own: nothing from elsewhere runs in it, and no other site may frame it. */
const securityHeaders = (_req: Request, res: Response, next: NextFunction) => {
  res.setHeader(
    'Content-Security-Policy',
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  );
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('Referrer-Policy', 'no-referrer');
  next();
};

/** Files as they are; any other path that a browser asks for is the page, which finds its way by the path. */
const servePage = (app: Application, webDir: string) => {
  app.use(
    '/assets',
    express.static(join(webDir, 'assets'), { immutable: true, maxAge: '1y', fallthrough: false }),
  );
  app.use(express.static(webDir, { index: false, maxAge: 0 }));
  app.use((req, res, next) => {
    if (req.method !== 'GET' || !req.accepts('html') || /^\/(api|graphql|healthz|readyz)\b/.test(req.path))
      return next();
    res.sendFile(join(webDir, 'index.html'), { headers: { 'Cache-Control': 'no-cache' } });
  });
};

/** The plain endpoints under /api (docs/API.md): for programs that want a stream or a file, and no GraphQL. */
import { errorTreatments, PlatformError, toWire } from '@gantry/contracts/errors';
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import { downloadEvents, downloadStdout } from './api.downloads.js';
import { streamEvents } from './api.events.js';
import { downloadSbom } from './api.sbom.js';
import type { GraphqlContext } from './context.js';
import { bearerOf } from './session.js';

interface Settings {
  createContext(token: string | null): Promise<GraphqlContext>;
  /** Fires when the gateway ends: streams that would go on for ever end themselves. */
  stopping: AbortSignal;
}

type Answer = (context: GraphqlContext, req: Request, res: Response) => Promise<void>;

/** Routes of /api. */
export const createApi = ({ createContext, stopping }: Settings): Router => {
  const api = express.Router();
  const answer =
    (tokenOf: (req: Request) => string | null, respond: Answer) =>
    (req: Request, res: Response, next: NextFunction): void => {
      createContext(tokenOf(req))
        .then((context) => respond(context, req, res))
        .catch(next);
    };
  const byHeader = (req: Request) => bearerOf(req.headers.authorization);
  // A page cannot give a download a header: it posts a form, and the token stays out of addresses, logs and histories.
  const byForm = (req: Request) =>
    byHeader(req) ?? bearerOf(`Bearer ${String((req.body as { token?: unknown } | undefined)?.token ?? '')}`);
  const form = express.urlencoded({ extended: false, limit: '4kb' });
  const files = {
    '/jobs/:id/stdout': downloadStdout,
    '/jobs/:id/events.ndjson': downloadEvents,
    '/images/:digest/sbom': downloadSbom,
  };
  api.get(
    '/jobs/:id/events',
    answer(byHeader, (...args) => streamEvents(...args, stopping)),
  );
  for (const [path, download] of Object.entries(files)) {
    api.get(path, answer(byHeader, download));
    api.post(path, form, answer(byForm, download));
  }
  api.use((req) => {
    throw new PlatformError(
      'not_found',
      `There is no ${req.method} ${req.baseUrl}${req.path}: see docs/API.md.`,
    );
  });
  api.use(onError);
  return api;
};

/** `{"code", "message", "details"}`, as at the pods' door. */
const onError = (error: unknown, _req: Request, res: Response, next: NextFunction): void => {
  if (res.headersSent) return next(error);
  const wire = (error as { type?: string }).type?.startsWith('entity.')
    ? toWire(new PlatformError('invalid', 'The form is too large or not a form.'))
    : toWire(error);
  res.status(errorTreatments[wire.code].http).json(wire);
};

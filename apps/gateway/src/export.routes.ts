/** `GET /api/jobs/<id>/export`: the archive of a job that is over, as a stream. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PlatformError, errorTreatments, isPlatformError, toWire } from '@gantry/contracts/errors';
import { archiveName, archiveOf } from '@gantry/eventlog/job-archive';
import type { ServiceKit } from '@gantry/service/kit';
import type { Application, Request, Response } from 'express';
import { createContext } from './context.js';
import { bearerOf } from './session.js';

type ExportDependencies = Parameters<typeof createContext>[0] & { kit: Pick<ServiceKit, 'logger'> };

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Adds the route. An error before the first byte is JSON with its HTTP status; later the connection is cut. */
export const mountExport = (app: Application, deps: ExportDependencies): void => {
  app.get('/api/jobs/:id/export', (req: Request, res: Response) => {
    answer(deps, req, res).catch((error: unknown) => {
      // A watcher who hung up is nobody's fault.
      if (!req.destroyed && (res.headersSent || !isPlatformError(error)))
        deps.kit.logger.error({ err: error, path: req.path }, 'an export failed');
      if (res.headersSent) return void res.destroy();
      const wire = toWire(error);
      res.status(errorTreatments[wire.code].http).json(wire);
    });
  });
};

const answer = async (deps: ExportDependencies, req: Request, res: Response): Promise<void> => {
  const id = String(req.params['id']).toLowerCase();
  const { call } = await createContext(deps, bearerOf(req.headers.authorization));
  if (!uuid.test(id)) throw new PlatformError('invalid', 'This is not the id of a job.');
  const archive = archiveOf(call, id);
  // Whether there is anything to send shows with the first piece.
  const first = await archive.next();
  res.setHeader('Content-Type', 'application/x-tar');
  res.setHeader('Content-Disposition', `attachment; filename="${archiveName(id)}.tar"`);
  res.setHeader('Cache-Control', 'no-store');
  const whole = async function* (): AsyncGenerator<Buffer> {
    if (!first.done) yield first.value;
    for await (const piece of archive) if (piece.length > 0) yield piece;
  };
  await pipeline(Readable.from(whole(), { objectMode: false }), res);
};

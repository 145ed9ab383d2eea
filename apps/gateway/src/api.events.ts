/**
 * `GET /api/jobs/<id>/events`: the live output as server-sent events, for curl and for proxies that pass no WebSocket. The same source as
 * the subscription `jobOutput`, the same cursor: `id` is the counter of a batch's end, and a client that comes back with it
 * (Last-Event-ID, or after=) gets exactly the rest.
 *
 *   event: output   a batch (format=events: JSON; format=text: what was printed)
 *   event: final    how the record ended; then the stream ends
 *   event: error    why the stream ends before that, with lastCounter
 */
import { PlatformError, toWire } from '@gantry/contracts/errors';
import type { Request, Response } from 'express';
import { countOf, filterOf, jobIdOf, parametersOf } from './api.query.js';
import type { GraphqlContext } from './context.js';
import { endable, jobOutput } from './job-feed.js';
import { firstLineOf, textOf } from './job-output.js';
import type { OutputBatch } from './job-tails.js';
import { createResponseWriter } from './response-writer.js';
import { formOf } from './shared-form.js';

const HEARTBEAT_MILLISECONDS = 15_000;
/** How long an EventSource waits before it comes back. */
const RETRY_MILLISECONDS = 1_000;

const formats = ['events', 'text'] as const;
type Format = (typeof formats)[number];

/** Streams until the job's final batch, the client leaves, or `stopping` says that the gateway ends. Throws before the first byte only. */
export const streamEvents = async (
  context: GraphqlContext,
  req: Request,
  res: Response,
  stopping: AbortSignal,
): Promise<void> => {
  const jobId = jobIdOf(req);
  const parameters = parametersOf(req);
  // A browser comes back to the same address: where it was is said by the header alone.
  const after =
    countOf(req.get('last-event-id'), 'Last-Event-ID') ?? countOf(parameters.get('after'), 'after') ?? 0;
  const filter = filterOf(parameters);
  const format = formatOf(parameters.get('format'));
  await context.rights.confirm(await context.session(), jobId, context.call);
  res.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store, no-transform',
    // nginx would keep it back.
    'X-Accel-Buffering': 'no',
  });
  if (req.method === 'HEAD') return void res.end();
  req.socket.setNoDelay(true);
  res.write(`retry: ${RETRY_MILLISECONDS}\n\n`);
  const batches = endable((signal) => jobOutput(context, { jobId, after, filter }, signal));
  await pump(batches, format, res, stopping);
};

const pump = async (
  batches: AsyncIterableIterator<OutputBatch, void>,
  format: Format,
  res: Response,
  stopping: AbortSignal,
): Promise<void> => {
  const writer = createResponseWriter(res);
  const heartbeat = setInterval(() => writer.touch(': still there\n\n'), HEARTBEAT_MILLISECONDS);
  const end = (): void => void batches.return?.();
  res.on('close', end);
  stopping.addEventListener('abort', end);
  try {
    for await (const batch of batches)
      if (!(await writer.write(await formOf(batch, `sse ${format}`, () => messageOf(batch, format))))) return;
    if (stopping.aborted)
      throw new PlatformError('unavailable', 'Gantry is being stopped: come back with Last-Event-ID.');
  } catch (error) {
    const { code, message, details } = toWire(error);
    const data = { code, message, lastCounter: details?.['lastCounter'] };
    await writer.write(`event: error\ndata: ${JSON.stringify(data)}\n\n`);
  } finally {
    clearInterval(heartbeat);
    res.off('close', end);
    stopping.removeEventListener('abort', end);
    res.end();
  }
};

/** A batch as bytes of the stream. One in which nothing matched only moves the cursor. */
const messageOf = (batch: OutputBatch, format: Format): Buffer => {
  const { events, final, firstCounter, lastCounter, committedCounter } = batch;
  const id = `id: ${lastCounter}\n`;
  const text = format === 'text' ? textOf(events) : '';
  const data =
    format === 'text'
      ? text.replace(/\r?\n$/, '').split(/\r\n|\r|\n/)
      : [
          JSON.stringify({
            firstCounter,
            lastCounter,
            committedCounter,
            firstLine: firstLineOf(events),
            events,
          }),
        ];
  const silent = events.length === 0 || (format === 'text' && text === '');
  const output = silent
    ? `${id}\n`
    : `event: output\n${id}${data.map((line) => `data: ${line}\n`).join('')}\n`;
  if (!final) return Buffer.from(output);
  return Buffer.from(`${silent ? '' : output}event: final\n${id}data: ${JSON.stringify(final)}\n\n`);
};

const formatOf = (given: string | null): Format => {
  const format = given ?? 'events';
  if (!formats.includes(format as Format))
    throw new PlatformError('invalid', `format=${format}: choose among ${formats.join(', ')}.`);
  return format as Format;
};

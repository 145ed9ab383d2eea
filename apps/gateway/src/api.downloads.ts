/**
 * A job's whole output, or all its events, as a stream: pages of ingest are read as the client takes them, so a job of any
 * size costs one page of memory. Of a job that runs: what is committed when the download begins.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isPlatformError, PlatformError } from '@gantry/contracts/errors';
import { GetJob } from '@gantry/contracts/job';
import { ListJobEvents, outputFormats, ReadStdout, type OutputFormat } from '@gantry/contracts/record';
import type { Request, Response } from 'express';
import { countOf, filterOf, isOn, jobIdOf, parametersOf } from './api.query.js';
import type { GraphqlContext } from './context.js';
import { ndjsonOf } from './job-output.js';
import { outputDocument } from './output-document.js';
import { createResponseWriter } from './response-writer.js';

const PAGE_EVENTS = 1_000;
/** A service that is away for less is waited for. */
const RIDE_OUT_MILLISECONDS = 30_000;
const RETRY_MILLISECONDS = 500;

/** The file that each format of output becomes. */
const outputFiles: Record<OutputFormat, { contentType: string; extension: string }> = {
  ansi: { contentType: 'text/plain; charset=utf-8', extension: 'ansi.txt' },
  plain: { contentType: 'text/plain; charset=utf-8', extension: 'txt' },
  html: { contentType: 'text/html; charset=utf-8', extension: 'html' },
};

/** `GET /api/jobs/<id>/stdout?format=&startLine=&endLine=&asOf=&download=1`. Throws before the first byte only. */
export const downloadStdout = async (context: GraphqlContext, req: Request, res: Response): Promise<void> => {
  const jobId = jobIdOf(req);
  const parameters = parametersOf(req);
  const format = formatOf(parameters.get('format'));
  const startLine = countOf(parameters.get('startLine'), 'startLine') ?? 0;
  const endLine = countOf(parameters.get('endLine'), 'endLine');
  const asOf = countOf(parameters.get('asOf'), 'asOf');
  const read = (from: number, to: number | null) =>
    context.call(ReadStdout, { jobId, startLine: from, endLine: to, format, asOf });
  const empty = { text: '', startLine, endLine: startLine, totalLines: 0 };
  let page = await orNothing(context, jobId, read(startLine, endLine), empty);
  const end = Math.min(page.totalLines, endLine ?? page.totalLines);
  const { contentType, extension } = outputFiles[format];
  const frame = format === 'html' ? outputDocument(`Job ${jobId}`) : { before: '', after: '' };
  begin(req, res, `job-${jobId}.${extension}`, contentType);
  await send(req, res, async function* () {
    yield frame.before;
    for (let line = startLine; ;) {
      yield page.text;
      if (page.endLine >= end || page.endLine <= line) break;
      line = page.endLine;
      page = await patiently(() => read(line, end));
    }
    yield frame.after;
  });
};

const formatOf = (given: string | null): OutputFormat => {
  const format = given ?? 'ansi';
  if (!outputFormats.includes(format as OutputFormat))
    throw new PlatformError('invalid', `format=${format}: choose among ${outputFormats.join(', ')}.`);
  return format as OutputFormat;
};

/** `GET /api/jobs/<id>/events.ndjson`, with `after` and the filter. Throws before the first byte only. */
export const downloadEvents = async (context: GraphqlContext, req: Request, res: Response): Promise<void> => {
  const jobId = jobIdOf(req);
  const parameters = parametersOf(req);
  const filter = filterOf(parameters);
  const start = countOf(parameters.get('after'), 'after') ?? 0;
  const read = (after: number) => context.call(ListJobEvents, { jobId, after, limit: PAGE_EVENTS, filter });
  const empty = { events: [], lastCounter: start, committedCounter: 0, final: null };
  let page = await orNothing(context, jobId, read(start), empty);
  const end = page.committedCounter;
  begin(req, res, `job-${jobId}-events.ndjson`, 'application/x-ndjson; charset=utf-8');
  await send(req, res, async function* () {
    for (let after = start; ;) {
      yield ndjsonOf(page.events.filter(({ counter }) => counter <= end));
      if (page.lastCounter >= end || page.lastCounter <= after) return;
      after = page.lastCounter;
      page = await patiently(() => read(after));
    }
  });
};

/** A job that has no record yet has printed nothing. Throws `not_found` for a job that is not there. */
const orNothing = async <T>(
  { call }: GraphqlContext,
  jobId: string,
  page: Promise<T>,
  nothing: T,
): Promise<T> => {
  try {
    return await page;
  } catch (error) {
    if (!isPlatformError(error) || error.code !== 'not_found') throw error;
    await call(GetJob, { jobId });
    return nothing;
  }
};

const begin = (req: Request, res: Response, name: string, contentType: string): void => {
  res.writeHead(200, {
    'Content-Type': contentType,
    'Cache-Control': 'no-store',
    'Content-Disposition': `${isOn(parametersOf(req).get('download')) ? 'attachment' : 'inline'}; filename="${name}"`,
    // What a job printed is never to act in the page's name.
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
  });
};

/** A stream that breaks off is cut, not ended: the client sees that something is missing. */
const send = async (req: Request, res: Response, pieces: () => AsyncGenerator<string>): Promise<void> => {
  if (req.method === 'HEAD') return void res.end();
  const writer = createResponseWriter(res);
  try {
    for await (const piece of pieces()) if (piece !== '' && !(await writer.write(piece))) return;
    res.end();
  } catch {
    res.destroy();
  }
};

const patiently = async <T>(read: () => Promise<T>): Promise<T> => {
  for (const started = performance.now(); ;) {
    try {
      return await read();
    } catch (error) {
      const away = isPlatformError(error) && error.code === 'unavailable';
      if (!away || performance.now() - started > RIDE_OUT_MILLISECONDS) throw error;
      await sleep(RETRY_MILLISECONDS);
    }
  }
};

/** The pods' HTTP port: plain node:http, for this is the hot path and the one door that untrusted code can reach. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { asPlatformError, errorTreatments, PlatformError, toWire } from '@gantry/contracts/errors';
import type { Pod, PodAccess } from './pods.access.js';
import type { Pods } from './pods.service.js';

/** A logger as far as the port uses one. */
export interface PodLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the port stands on, and its bounds. */
export interface PodServerSettings {
  pods: Pods;
  access: PodAccess;
  logger: PodLogger;
  /** Bytes of all bodies that may be held at once. */
  heldBytes?: number;
}

const chunkBytes = 32 * 1024 * 1024;
const limits = { start: 64 * 1024, chunks: chunkBytes, heartbeat: 1_024, finish: 4 * 1024 * 1024 } as const;
type Call = keyof typeof limits;

const route = /^\/pods\/v1\/jobs\/([^/?]{1,64})\/(start|chunks|heartbeat|finish|objects\/([0-9a-f]{64}))$/;

/** The server, not listening yet. Slow senders are cut off: 10 s for headers, 60 s for a whole request. */
export const createPodServer = (settings: PodServerSettings): Server => {
  const { logger } = settings;
  const bodies = createBodies(settings.heldBytes ?? 256 * 1024 * 1024);
  const server = createServer(
    {
      maxHeaderSize: 16 * 1024,
      headersTimeout: 10_000,
      requestTimeout: 60_000,
      keepAliveTimeout: 75_000,
      connectionsCheckingInterval: 5_000,
    },
    (request, response) => {
      answer(settings, bodies, request, response).catch((error: unknown) =>
        refuse(logger, request, response, error),
      );
    },
  );
  server.maxHeadersCount = 64;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    const status =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? '408 Request Timeout'
          : '400 Bad Request';
    const body = JSON.stringify({
      code: 'invalid',
      message: `This is no HTTP request that ingest takes: ${status}.`,
      details: {},
    });
    socket.end(
      `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  });
  return server;
};

type Bodies = (request: IncomingMessage, most: number) => Promise<{ bytes: Buffer; release(): void }>;

const answer = async (
  { pods, access }: PodServerSettings,
  bodies: Bodies,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  const match = route.exec(request.url ?? '');
  if (!match)
    throw new PlatformError('not_found', 'There is no such call: docs/PROTOCOL.md part 1 lists them.');
  const [, jobId, name, sha256] = match as unknown as [string, string, string, string | undefined];
  const method = sha256 ? 'GET' : 'POST';
  if (request.method !== method) throw new PlatformError('invalid', `This call needs ${method}.`);
  const pod = await access(jobId, request.headers.authorization, header(request, 'gantry-epoch'));
  if (sha256) return sendObject(pods, pod, sha256, response);
  const call = name as Call;
  const { bytes, release } = await bodies(request, limits[call]);
  try {
    send(response, 200, await carryOut(pods, pod, call, request, bytes));
  } finally {
    release();
  }
};

const carryOut = (
  pods: Pods,
  pod: Pod,
  call: Call,
  request: IncomingMessage,
  body: Buffer,
): Promise<object> => {
  switch (call) {
    case 'start':
      return pods.start(pod, body);
    case 'chunks':
      return pods.chunk(pod, request.headers, body);
    case 'heartbeat':
      return pods.heartbeat(pod);
    case 'finish':
      return pods.finish(pod, body);
  }
};

const sendObject = async (pods: Pods, pod: Pod, sha256: string, response: ServerResponse): Promise<void> => {
  const { bytes, sizeBytes } = await pods.object(pod, sha256);
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': sizeBytes });
  await pipeline(bytes, response);
};

/** Reads bodies within a bound of their own and one for all together. */
const createBodies = (most: number): Bodies => {
  let total = 0;
  return async (request, limit) => {
    const declared = Number(request.headers['content-length'] ?? 0);
    if (declared > limit) throw tooLarge(limit);
    const held = { size: 0 };
    const release = (): void => {
      total -= held.size;
      held.size = 0;
    };
    try {
      const pieces = await gather(request, (length) => {
        if (held.size + length > limit) throw tooLarge(limit);
        if (total + length > most)
          throw new PlatformError('unavailable', 'Ingest holds as much as it may: send this again.');
        held.size += length;
        total += length;
      });
      return { bytes: pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces), release };
    } catch (error) {
      release();
      throw error;
    }
  };
};

/** By hand: leaving a `for await` early would destroy the socket that the refusal has to go out on. */
const gather = (request: IncomingMessage, count: (length: number) => void): Promise<Buffer[]> =>
  new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    const onData = (piece: Buffer): void => {
      try {
        count(piece.length);
        pieces.push(piece);
      } catch (error) {
        request.off('data', onData).pause();
        reject(error as Error);
      }
    };
    request.on('data', onData);
    request.once('end', () => resolve(pieces));
    request.once('close', () =>
      reject(new PlatformError('cancelled', 'The pod went away in the middle of its call.')),
    );
    request.once('error', () =>
      reject(new PlatformError('cancelled', 'The pod went away in the middle of its call.')),
    );
  });

const tooLarge = (limit: number): PlatformError =>
  new PlatformError('refused', `The body is larger than the ${limit} bytes that this call takes.`, {
    details: { reason: 'too_large', limit },
  });

const refuse = (
  logger: PodLogger,
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
): void => {
  // The pod went away in the middle: nobody is there to hear.
  if (request.destroyed && !request.complete) return void response.destroy();
  const error = asPlatformError(thrown);
  const { http, log } = errorTreatments[error.code];
  const fields = {
    code: error.code,
    method: request.method,
    url: request.url?.slice(0, 200),
    err: error.code === 'defect' ? (error.cause ?? error) : undefined,
  };
  if (log === 'error') logger.error(fields, error.message);
  else if (log === 'warn') logger.warn(fields, error.message);
  else if (error.code === 'unauthenticated' || error.code === 'forbidden') logger.info(fields, error.message);
  if (response.headersSent) return void response.destroy();
  // What was not read of the body cannot be skipped cheaply: the connection ends with the answer.
  if (!request.complete) response.setHeader('Connection', 'close');
  send(response, http, { details: {}, ...toWire(error) });
};

const send = (response: ServerResponse, status: number, body: object): void => {
  const bytes = Buffer.from(JSON.stringify(body), 'utf8');
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': bytes.length,
    'Cache-Control': 'no-store',
  });
  response.end(bytes);
};

const header = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
};

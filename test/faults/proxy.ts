/** Stands between the pods of this host and ingest, and is a bad network on request: on the socket that is mounted into pods. */
import { chmodSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { pidOf } from './parts.js';

/** `open`: passes everything. `away`: takes nothing. `deaf`: passes calls, loses every answer. */
export type Mode = 'open' | 'away' | 'deaf';

/** The proxy between. */
export interface Proxy {
  mode: Mode;
  /** Calls so far that got no answer. */
  unanswered: number;
  /** What pods are told of their limits instead, from now on. */
  limits: Record<string, number>;
  /** Puts ingest's own socket back. */
  stop(): Promise<void>;
}

/** Ingest's socket, as the environment of its process says. */
const socketPath = (): string => {
  const environment = readFileSync(`/proc/${pidOf('ingest')}/environ`, 'utf8').split('\0');
  return environment.find((one) => one.startsWith('GANTRY_INGEST_PODS_SOCKET='))!.replace(/^[^=]*=/, '');
};

/** Takes the place of ingest's socket. Pods that have started keep the connections they have. */
export const startProxy = async (): Promise<Proxy> => {
  const path = socketPath();
  const behind = `${path}.behind`;
  const proxy: Proxy = { mode: 'open', unanswered: 0, limits: {}, stop };
  const server = createServer((incoming, response) => {
    const drop = (): void => {
      proxy.unanswered++;
      incoming.socket.destroy();
    };
    if (proxy.mode === 'away') return drop();
    void bodyOf(incoming)
      .then((body) => forward(incoming, body))
      .then((answer) => (proxy.mode === 'open' ? pass(answer, response) : drop()))
      .catch(drop);
  });
  server.keepAliveTimeout = 60_000;

  const forward = (incoming: IncomingMessage, body: Buffer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const sent = request(
        {
          socketPath: behind,
          method: incoming.method,
          path: incoming.url,
          headers: incoming.headers,
          agent: false,
        },
        (answer) => {
          const { statusCode: status = 0, headers } = answer;
          const isStart = status === 200 && incoming.url!.endsWith('/start');
          bodyOf(answer).then(
            (bytes) => resolve({ status, headers, body: isStart ? limited(bytes) : bytes }),
            reject,
          );
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  const limited = (bytes: Buffer): Buffer => {
    const start = JSON.parse(bytes.toString()) as { limits: object };
    return Buffer.from(JSON.stringify({ ...start, limits: { ...start.limits, ...proxy.limits } }));
  };

  async function stop(): Promise<void> {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(path, { force: true });
    if (existsSync(behind)) renameSync(behind, path);
  }

  renameSync(path, behind);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0o666);
  return proxy;
};

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

const pass = ({ status, headers, body }: Answer, response: ServerResponse): void => {
  response.writeHead(status, { ...headers, connection: 'keep-alive', 'content-length': body.length });
  response.end(body);
};

const bodyOf = async (message: IncomingMessage): Promise<Buffer> => {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
};

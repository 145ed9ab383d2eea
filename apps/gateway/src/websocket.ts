/** Subscriptions: graphql-transport-ws on the path of the HTTP endpoint. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorTreatments, isPlatformError } from '@gantry/contracts/errors';
import {
  createSourceEventStream,
  execute,
  GraphQLError,
  validate,
  specifiedRules,
  type ExecutionResult,
  type GraphQLFormattedError,
  type GraphQLSchema,
  type ValidationRule,
} from 'graphql';
import { CloseCode, GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer, type WebSocket } from 'ws';
import type { GraphqlContext } from './context.js';
import { bearerOf } from './session.js';
import { createDelivery } from './websocket-delivery.js';
import { watchReaders, type Readers } from './websocket-readers.js';

/** Running subscriptions of one connection: more than a page ever needs. */
const SUBSCRIPTIONS_PER_CONNECTION = 100;

interface Options {
  server: Server;
  path: string;
  schema: GraphQLSchema;
  validationRules: readonly ValidationRule[];
  createContext: (token: string | null) => Promise<GraphqlContext>;
  formatError: (formatted: GraphQLFormattedError, thrown: unknown) => GraphQLFormattedError;
  /** How long a watcher may take for one frame before it counts as not reading; 60 s when left out. */
  stallMilliseconds?: number;
}

interface Extra extends Record<PropertyKey, unknown> {
  socket: WebSocket;
  token?: string | null;
  operations?: Set<string>;
}

/** Serves subscriptions on `server`; refuses upgrades for any other path. Returns how to stop. */
export const serveSubscriptions = (options: Options): (() => Promise<void>) => {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: 1024 * 1024,
    handleProtocols: (protocols) =>
      protocols.has(GRAPHQL_TRANSPORT_WS_PROTOCOL) && GRAPHQL_TRANSPORT_WS_PROTOCOL,
  });
  const readers = watchReaders(sockets, options.stallMilliseconds);
  const server = listen(options, sockets, readers);
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (new URL(request.url ?? '/', 'http://gateway').pathname !== options.path) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request));
  };
  options.server.on('upgrade', onUpgrade);
  return async () => {
    options.server.off('upgrade', onUpgrade);
    readers.stop();
    await server.dispose();
  };
};

const listen = (options: Options, sockets: WebSocketServer, readers: Readers) => {
  const tell = (errors: readonly GraphQLError[]) =>
    errors.map((error) => new GraphQLError(...formattedParts(options.formatError(error.toJSON(), error))));
  const told = (result: ExecutionResult): ExecutionResult =>
    result.errors ? { ...result, errors: tell(result.errors) } : result;
  const deliver = createDelivery({ send: readers.send, told });
  return useServer<{ authorization?: string }, Extra>(
    {
      schema: options.schema,
      execute,
      // What comes is events, not results: `deliver` makes the results, once for all watchers.
      subscribe: createSourceEventStream as never,
      validate: (schema, document) =>
        validate(schema, document, [...specifiedRules, ...options.validationRules]),
      onConnect: async ({ extra, connectionParams }) => {
        const token = bearerOf(connectionParams?.authorization);
        try {
          await options.createContext(token);
        } catch (error) {
          const code = isPlatformError(error) ? errorTreatments[error.code].graphql : 'INTERNAL';
          extra.socket.close(
            code === 'UNAUTHENTICATED' ? CloseCode.Forbidden : CloseCode.InternalServerError,
            closeReason(error),
          );
          return false;
        }
        extra.token = token;
        extra.operations = new Set();
        return true;
      },
      context: ({ extra }) => options.createContext(extra.token ?? null) as never,
      onSubscribe: ({ extra }, id) => {
        if (extra.operations!.size >= SUBSCRIPTIONS_PER_CONNECTION) {
          return [
            new GraphQLError(
              `A connection has at most ${SUBSCRIPTIONS_PER_CONNECTION} subscriptions: open another.`,
              { extensions: { code: 'REFUSED' } },
            ),
          ];
        }
        extra.operations!.add(id);
        return undefined;
      },
      onOperation: ({ extra }, id, _payload, args, result) =>
        Symbol.asyncIterator in result
          ? (deliver({ socket: extra.socket, id, args, events: result as never }) as never)
          : undefined,
      onComplete: ({ extra }, id) => void extra.operations!.delete(id),
      onError: ({ extra }, id, _payload, errors) => {
        extra.operations!.delete(id);
        return tell(errors);
      },
      onNext: (_context, _id, _payload, _args, result) =>
        result.errors ? { ...result, errors: tell(result.errors) } : undefined,
    },
    sockets,
    // Its own pings would cut off whoever reads slowly: the pong waits behind what is not read yet. `readers` sees to it.
    0,
  );
};

/** A close reason has at most 123 bytes. */
const closeReason = (error: unknown): string =>
  isPlatformError(error)
    ? Buffer.from(error.message).subarray(0, 120).toString()
    : 'Gantry cannot check the token now';

const formattedParts = ({ message, ...rest }: GraphQLFormattedError): [string, object] => [message, rest];

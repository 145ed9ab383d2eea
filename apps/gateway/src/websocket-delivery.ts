/**
 * From the events of a subscription to frames on a connection. A batch of output is executed and serialised once for each selection that
 * somebody asks of it, however many watch (shared-form.ts); a frame of a watcher is that form between its own id.
 */
import { execute, print, visit, type DocumentNode, type ExecutionArgs, type ExecutionResult } from 'graphql';
import type { WebSocket } from 'ws';
import { formOf, isShared } from './shared-form.js';

/** A running subscription. */
export interface Subscription {
  socket: WebSocket;
  /** The client's name for it. */
  id: string;
  args: ExecutionArgs;
  events: AsyncIterableIterator<object>;
}

/**
 * Sends the results of a subscription as they come, the next when the last has left. Give it to graphql-ws in place of results: it has none
 * to give, ends when the events do, throws what they throw, and `return` ends them.
 */
export type Deliver = (subscription: Subscription) => AsyncIterableIterator<never, void>;

/** A delivery by `send` (false: the connection is gone). `told`: a result as clients may see it. */
export const createDelivery =
  (how: {
    send(socket: WebSocket, frame: Buffer): Promise<boolean>;
    told(result: ExecutionResult): ExecutionResult;
  }): Deliver =>
  ({ socket, id, args, events }) => {
    const selection = selectionOf(args);
    const before = Buffer.from(`{"id":${JSON.stringify(id)},"type":"next","payload":`);
    const after = Buffer.from('}');
    const resultOf = async (event: object): Promise<Buffer> =>
      Buffer.from(JSON.stringify(how.told(await execute({ ...args, rootValue: event }))));
    const end = async (): Promise<IteratorReturnResult<void>> => {
      await events.return?.();
      return { done: true, value: undefined };
    };
    return {
      async next() {
        for (;;) {
          const next = await events.next();
          if (next.done) return { done: true, value: undefined };
          const event = next.value;
          const result = await (isShared(event)
            ? formOf(event, selection, () => resultOf(event))
            : resultOf(event));
          if (!(await how.send(socket, Buffer.concat([before, result, after])))) return end();
        }
      },
      return: end,
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  };

/**
 * A name for what is asked of each event: the document, and the variables in it but those of the root field's arguments, which say
 * where to begin and not what to show.
 */
export const selectionOf = ({ document, operationName, variableValues }: ExecutionArgs): string => {
  const used = variablesOf(document);
  const values = Object.entries(variableValues ?? {}).filter(([name]) => used.has(name));
  return JSON.stringify([print(document), operationName ?? null, values.sort()]);
};

const variablesOf = (document: DocumentNode): Set<string> => {
  const used = new Set<string>();
  visit(document, {
    VariableDefinition: () => false,
    Field: (field) => (field.name.value === 'jobOutput' ? { ...field, arguments: [] } : undefined),
    Variable: ({ name }) => void used.add(name.value),
  });
  return used;
};

/** Calling other services: NATS request/reply with a deadline, and their errors as they threw them. */
import type { CommandSpec, InputOf, OutputOf, ServiceName } from '@gantry/contracts/command';
import { PlatformError, fromWire, isPlatformError, type ErrorOnWire } from '@gantry/contracts/errors';
import { commandSubject, headers as names } from '@gantry/contracts/subjects';
import { fromNats, watchLine, type Line } from '@gantry/bus/connect';
import { headers, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import type { CallContext } from './context.js';
import { newId } from './context.js';
import { pause } from './pause.js';

/** The answer on the wire. */
export type CommandAnswer = { ok: unknown } | { error: ErrorOnWire };

/** What of a context travels with a call. */
export type CallerContext = Partial<
  Pick<CallContext, 'correlationId' | 'causationId' | 'traceparent' | 'deadline' | 'assertion' | 'actor'>
>;

/** Sends a command and returns what its owner answered. Throws what the owner threw; `unavailable` when nobody answers in time; `forbidden` when NATS does not let this service call it. */
export type Call = <C extends CommandSpec>(
  command: C,
  input: InputOf<C>,
  context?: CallerContext,
) => Promise<OutputOf<C>>;

/** A caller over a connection, in the name of `service`. */
export const createCall = (nc: NatsConnection, service: ServiceName): Call => {
  const line = watchLine(nc);
  return async (command, input, context = {}) => {
    const deadline = Math.min(
      Date.now() + command.timeoutMilliseconds,
      context.deadline ?? Number.POSITIVE_INFINITY,
    );
    const left = (): number => deadline - Date.now();
    let answer: CommandAnswer;
    try {
      const reply = await whileReturning(line, left, () => {
        if (left() <= 0) throw late(command);
        return nc.request(commandSubject(command), JSON.stringify(input), {
          timeout: left(),
          headers: headersFor(command, context, service, deadline),
        });
      });
      answer = reply.json<CommandAnswer>();
    } catch (error) {
      throw callError(error, command);
    }
    if ('error' in answer) throw fromWire(answer.error);
    return answer.ok as OutputOf<typeof command>;
  };
};

/** After NATS was away, those who answer come back one by one. */
const RETURN_MILLISECONDS = 2_000;
const RETRY_MILLISECONDS = 50;

/** Sends when there is a line, and again while those who would answer are not back on theirs: nobody has heard it then. */
const whileReturning = async (line: Line, left: () => number, send: () => Promise<Msg>): Promise<Msg> => {
  for (;;) {
    await line.up(Math.max(left(), 0));
    try {
      return await send();
    } catch (error) {
      if (!nobodyThere(error) || line.backForMilliseconds() > RETURN_MILLISECONDS) throw error;
      await pause(RETRY_MILLISECONDS, never);
    }
  }
};

const never = new AbortController().signal;

const nobodyThere = (error: unknown): boolean =>
  error instanceof Error &&
  (/no responders/i.test(`${error.name} ${error.message}`) ||
    (error.cause instanceof Error && error.cause.name === 'NoRespondersError'));

const headersFor = (
  command: CommandSpec,
  context: CallerContext,
  service: ServiceName,
  deadline: number,
): MsgHdrs => {
  const result = headers();
  result.set(names.correlationId, context.correlationId ?? newId());
  if (context.causationId) result.set(names.causationId, context.causationId);
  if (context.traceparent) result.set(names.traceparent, context.traceparent);
  // A name can hold any character, a header cannot.
  result.set(
    names.actor,
    encodeURIComponent(JSON.stringify(context.actor ?? { kind: 'system', id: service, name: service })),
  );
  if (command.principal && context.assertion) result.set(names.assertion, context.assertion);
  result.set(names.deadline, String(Math.floor(deadline)));
  return result;
};

const late = (command: CommandSpec): PlatformError =>
  new PlatformError(
    'unavailable',
    `${command.name} was not answered in time: ${command.service} is slow or away. Try again.`,
    {
      details: { command: command.name, service: command.service },
    },
  );

const callError = (error: unknown, command: CommandSpec): PlatformError => {
  if (isPlatformError(error)) return error;
  const text = error instanceof Error ? `${error.name} ${error.message}` : '';
  if (/timeout/i.test(text)) return late(command);
  if (nobodyThere(error)) {
    return new PlatformError(
      'unavailable',
      `Nobody answers ${command.name}: the service ${command.service} is not running.`,
      {
        details: { command: command.name, service: command.service },
        cause: error,
      },
    );
  }
  if (/max.*payload|payload.*exceeded/i.test(text))
    return new PlatformError('invalid', `${command.name}: what was sent is too large.`, { cause: error });
  return fromNats(error, `call ${command.name}`);
};

/** From a request on the wire to a handler and back: deadline, shapes, who is asking, errors, read your own writes. */
import type { CommandSpec, OutputOf, ReceivedBy, ServiceName } from '@gantry/contracts/command';
import { serviceNames } from '@gantry/contracts/command';
import { Actor } from '@gantry/contracts/envelope';
import { PlatformError, asPlatformError, errorTreatments, toWire } from '@gantry/contracts/errors';
import { headers as names } from '@gantry/contracts/subjects';
import { z } from 'zod';
import type { VerifyAssertion } from './assertion.js';
import type { CommandAnswer } from './command-client.js';
import type { RawHandler, RawRequest } from './command-server.js';
import { createContext, systemActor, type CallContext } from './context.js';
import { fromDatabase } from './database-error.js';
import type { Logger } from './logger.js';
import { observing, type Appended } from './observed-log.js';

/** A command's handler. */
export type CommandHandler<C extends CommandSpec> = (
  input: ReceivedBy<C>,
  context: CallContext,
) => Promise<OutputOf<C>>;

/** What binding needs of its service. */
export interface BindingSettings {
  service: ServiceName;
  logger: Logger;
  verify: VerifyAssertion;
  /** Resolves when queries show what was appended. */
  caughtUp(appended: Appended, logger: Logger): Promise<void>;
}

/** Wraps a handler for the wire; what it returns never rejects. */
export const bindCommand =
  <C extends CommandSpec>(command: C, handler: CommandHandler<C>, settings: BindingSettings): RawHandler =>
  async (request) => {
    const began = performance.now();
    const context = callerContext(request, settings);
    try {
      const output = await carryOut(command, handler, request, context, settings);
      context.logger.debug(
        { command: command.name, milliseconds: Math.round(performance.now() - began) },
        'answered',
      );
      return JSON.stringify({ ok: output } satisfies CommandAnswer);
    } catch (thrown) {
      const error = asPlatformError(fromDatabase(thrown));
      context.logger[errorTreatments[error.code].log](
        { command: command.name, err: error },
        'command not carried out',
      );
      return JSON.stringify({ error: toWire(error) } satisfies CommandAnswer);
    }
  };

const carryOut = async <C extends CommandSpec>(
  command: C,
  handler: CommandHandler<C>,
  request: RawRequest,
  context: CallContext,
  settings: BindingSettings,
): Promise<unknown> => {
  if (context.deadline !== undefined && context.deadline < Date.now()) {
    throw new PlatformError(
      'cancelled',
      `${command.name} came too late: nobody waits for the answer any more.`,
    );
  }
  const named = command.principal ? await inNameOf(context, settings.verify) : context;
  const input = parseInput(command, request.body);
  const { result, appended } = await observing(() => handler(input, named));
  if (appended.last) await settings.caughtUp(appended, named.logger);
  const output = command.output.safeParse(result);
  if (!output.success) {
    throw new PlatformError('defect', 'Something went wrong inside Gantry; its log has the details.', {
      cause: new Error(
        `${command.name} answered in another shape than declared: ${z.prettifyError(output.error)}`,
      ),
    });
  }
  return output.data;
};

const inNameOf = async (context: CallContext, verify: VerifyAssertion): Promise<CallContext> => {
  if (context.assertion === undefined) {
    throw new PlatformError('unauthenticated', 'This needs to know who is asking: send a token.');
  }
  const principal = await verify(context.assertion);
  return createContext({
    ...context,
    principal,
    actor: { kind: 'user', id: principal.userId, name: principal.username },
  });
};

const parseInput = <C extends CommandSpec>(command: C, body: Uint8Array): ReceivedBy<C> => {
  let raw: unknown;
  try {
    raw = JSON.parse(new TextDecoder().decode(body));
  } catch (cause) {
    throw new PlatformError('invalid', `${command.name}: the request is not JSON.`, { cause });
  }
  return checkShape(command.input, raw, command.name) as ReceivedBy<C>;
};

/** What was given, in its declared shape. Throws `invalid` with paths and rules; `name` says of what. */
export const checkShape = <S extends z.ZodType>(shape: S, given: unknown, name: string): z.output<S> => {
  const input = shape.safeParse(given);
  if (input.success) return input.data;
  // Zod's own messages may quote what was given, which may be a secret: path and rule are said, values never.
  const problems = input.error.issues.map((issue) => ({
    path: issue.path.join('.'),
    message: issue.message,
  }));
  const text = problems.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ');
  throw new PlatformError('invalid', text, { details: { command: name, problems } });
};

const callerContext = (request: RawRequest, { service, logger }: BindingSettings): CallContext => {
  const deadline = Number(request.header(names.deadline));
  return createContext({
    actor: readActor(request.header(names.actor)) ?? callerOf(request.reply) ?? systemActor(service),
    correlationId: request.header(names.correlationId)?.slice(0, 200),
    causationId: request.header(names.causationId)?.slice(0, 200),
    traceparent: request.header(names.traceparent)?.slice(0, 200),
    assertion: request.header(names.assertion),
    deadline: Number.isFinite(deadline) && deadline > 0 ? deadline : undefined,
    logger,
  });
};

const readActor = (header: string | undefined): Actor | undefined => {
  if (header === undefined) return undefined;
  try {
    return Actor.parse(JSON.parse(decodeURIComponent(header)));
  } catch {
    return undefined;
  }
};

// A service's replies arrive under its own inbox prefix (@gantry/bus/connect).
const callerOf = (reply: string | undefined): Actor | undefined => {
  const caller = reply?.split('.')[1];
  return serviceNames.includes(caller as ServiceName) ? systemActor(caller as ServiceName) : undefined;
};

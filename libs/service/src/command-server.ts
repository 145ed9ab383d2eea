/**
 * Answering commands: Nest's NATS transport, with the connection shared, our own JSON on the wire (docs/PROTOCOL.md part 2
 * instead of Nest's packets), and a close that finishes what is under way instead of waiting a fixed time.
 */
import { PlatformError, toWire } from '@gantry/contracts/errors';
import { ServerNats } from '@nestjs/microservices';
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';

/** One request as it came. */
export interface RawRequest {
  body: Uint8Array;
  header(name: string): string | undefined;
  /** Where the answer goes; begins with the caller's inbox prefix. */
  reply: string | undefined;
}

/** Carries out a request; resolves with the answer's bytes and never rejects. */
export type RawHandler = (request: RawRequest) => Promise<string>;

/** See the head of the file. */
export class CommandServer extends ServerNats {
  private readonly own: Subscription[] = [];
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(
    private readonly connection: NatsConnection,
    private readonly queue: string,
  ) {
    super({
      queue,
      deserializer: {
        deserialize: (message: Msg) => ({
          id: message.sid.toString(),
          pattern: message.subject,
          data: {
            body: message.data,
            header: (name: string) => message.headers?.get(name) || undefined,
            reply: message.reply,
          } satisfies RawRequest,
        }),
      },
      serializer: { serialize: (packet: { response?: string }) => ({ data: packet.response ?? '' }) },
    });
  }

  /** Answers requests on a subject; before `listen`. */
  answer(subject: string, handler: RawHandler): void {
    this.addHandler(subject, async (request: RawRequest) => {
      const answer = await handler(request);
      const limit = this.connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
      return Buffer.byteLength(answer) <= limit ? answer : tooLarge(subject);
    });
  }

  override createNatsClient(): Promise<NatsConnection> {
    return Promise.resolve(this.connection);
  }

  override bindEvents(): void {
    for (const subject of this.messageHandlers.keys()) {
      const handle = this.getMessageHandler(subject).bind(this) as (
        error: Error | null,
        message: Msg,
      ) => Promise<unknown>;
      this.own.push(
        this.connection.subscribe(subject, {
          queue: this.queue,
          callback: (error, message) => {
            const work = handle(error, message).finally(() => this.underWay.delete(work));
            this.underWay.add(work);
          },
        }),
      );
    }
  }

  /** Takes nothing new and resolves when everything under way is answered. The connection stays open. */
  override async close(): Promise<void> {
    await Promise.all(this.own.splice(0).map((subscription) => subscription.drain().catch(() => undefined)));
    while (this.underWay.size > 0) await Promise.allSettled(this.underWay);
  }
}

// NATS would refuse to send it, and the caller would wait in vain.
const tooLarge = (subject: string): string => {
  const error = new PlatformError('invalid', 'The answer is too large to send: ask for less at once.', {
    details: { subject },
  });
  return JSON.stringify({ error: toWire(error) });
};

/** The one way to reach NATS: for ever reconnecting, with an inbox of its own, and errors as ours. */
import { readFile } from 'node:fs/promises';
import { PlatformError, isPlatformError } from '@gantry/contracts/errors';
import { connect, errors, nkeyAuthenticator, type NatsConnection } from '@nats-io/transport-node';

/** How to connect. */
export interface ConnectSettings {
  /** `nats://host:port`, several separated by commas. */
  url: string;
  /** File with the nkey seed (`SU...`) of the user; none for a server without authorization. */
  seedFile?: string;
  /** Shown in the server's connection list. */
  name: string;
  /** Makes the inbox prefix `_INBOX.<service>`: what the server's permissions allow. `name` when left out. */
  service?: string;
  /** Wait for a server that is not there yet, for ever (true), or throw `unavailable` at once (false, the default). */
  waitForServer?: boolean;
}

export type { NatsConnection };

/** Between two attempts to reach the server again. */
export const RECONNECT_MILLISECONDS = 250;

/** Inboxes of a service: replies to it, and to nobody else, arrive here. */
export const inboxPrefix = (service: string): string => `_INBOX.${service}`;

/**
 * Connects and stays connected: reconnects every 250 ms for ever.
 * Throws `unavailable` when no server answers, `unauthenticated` when it refuses the key, `invalid` when the seed file cannot be read.
 */
export const connectNats = async (settings: ConnectSettings): Promise<NatsConnection> => {
  const seed = settings.seedFile === undefined ? undefined : await readSeed(settings.seedFile);
  try {
    return await connect({
      servers: settings.url.split(',').map((server) => server.trim()),
      name: settings.name,
      inboxPrefix: inboxPrefix(settings.service ?? settings.name),
      reconnectTimeWait: RECONNECT_MILLISECONDS,
      reconnectJitter: 100,
      maxReconnectAttempts: -1,
      waitOnFirstConnect: settings.waitForServer ?? false,
      // A server that was restarted with other keys for a moment must not end us.
      ignoreAuthErrorAbort: true,
      pingInterval: 10_000,
      authenticator: seed && nkeyAuthenticator(seed),
    });
  } catch (error) {
    throw fromNats(error, `connect to NATS at ${settings.url}`);
  }
};

/** Calls back after every reconnection, as long as the connection lives: the server may be another one, or have lost something. */
export const onReconnect = (nc: NatsConnection, callback: () => void): void => {
  void (async () => {
    for await (const status of nc.status()) if (status.type === 'reconnect') callback();
  })().catch(() => undefined);
};

/** Whether a connection stands: what the client is given to send while it does not, it forgets. */
export interface Line {
  /** Resolves at once while it stands, else when it is back or closed, or after so many milliseconds. */
  up(milliseconds: number): Promise<void>;
  /** How long ago it came back; infinity if it never broke. */
  backForMilliseconds(): number;
}

/** Watches a connection for as long as it lives. */
export const watchLine = (nc: NatsConnection): Line => {
  let backAt = Number.NEGATIVE_INFINITY;
  let broken = false;
  const waiting = new Set<() => void>();
  const wakeAll = (): void => waiting.forEach((wake) => wake());
  void (async () => {
    for await (const { type } of nc.status()) {
      if (type === 'disconnect') broken = true;
      if (type !== 'reconnect') continue;
      [broken, backAt] = [false, performance.now()];
      wakeAll();
    }
  })()
    .catch(() => undefined)
    .finally(() => {
      broken = false;
      wakeAll();
    });
  return {
    up: (milliseconds) =>
      new Promise((resolve) => {
        if (!broken) return resolve();
        const wake = (): void => {
          clearTimeout(timer);
          waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, milliseconds);
        waiting.add(wake);
      }),
    backForMilliseconds: () => performance.now() - backAt,
  };
};

const readSeed = async (file: string): Promise<Uint8Array> => {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new PlatformError(
      'invalid',
      `The NATS key ${file} cannot be read: make it with ./gantry up, or name another file.`,
      { cause },
    );
  });
  return new TextEncoder().encode(text.trim());
};

/** Any error of the NATS client as ours: no permission `forbidden`, bad key `unauthenticated`, nobody there or too slow `unavailable`. `doing` ends the sentence "cannot ...". */
export const fromNats = (error: unknown, doing: string): PlatformError => {
  if (isPlatformError(error)) return error;
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof errors.PermissionViolationError) {
      return new PlatformError(
        'forbidden',
        `NATS does not allow this service to ${doing} (${cause.operation} ${cause.subject}).`,
        { cause: error },
      );
    }
    if (
      cause instanceof errors.AuthorizationError ||
      cause instanceof errors.UserAuthenticationExpiredError
    ) {
      return new PlatformError('unauthenticated', `NATS refuses this service's key: cannot ${doing}.`, {
        cause: error,
      });
    }
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new PlatformError('unavailable', `Cannot ${doing}: ${reason}`, { cause: error });
};

/**
 * Who reads, and who does not. A frame is sent when the one before has left for the kernel, so a connection holds one frame a
 * subscription at most, and a slow reader slows nobody but itself.
 *
 *   reading   frames leave, or pongs come
 *   stalled   a frame has not left for `stallMilliseconds`, or more than BUFFERED_BYTES wait: closed with SLOW_READER; what was sent
 *             before is still delivered, and with it the watcher's cursor
 *   dead      nothing has left or come for SILENT_MILLISECONDS in spite of pings: cut off
 */
import type { WebSocket, WebSocketServer } from 'ws';

/** Close code of a watcher that does not read; among those that RFC 6455 leaves to applications. */
export const SLOW_READER = 4430;

/** Unsent by one connection, all its subscriptions together. */
const BUFFERED_BYTES = 8 * 1024 * 1024;
const STALL_MILLISECONDS = 60_000;
const SILENT_MILLISECONDS = 60_000;
const PING_MILLISECONDS = 15_000;

/** See the head of the file. */
export interface Readers {
  /** Resolves when the frame has left; false when the connection is closed or closing. */
  send(socket: WebSocket, frame: Buffer): Promise<boolean>;
  stop(): void;
}

interface Reader {
  unsent: number;
  /** When something last left or came. */
  aliveAt: number;
  pingedAt: number;
}

/** Watches over all connections of a server. */
export const watchReaders = (
  sockets: WebSocketServer,
  stallMilliseconds: number = STALL_MILLISECONDS,
): Readers => {
  const readers = new Map<WebSocket, Reader>();
  sockets.on('connection', (socket: WebSocket) => {
    const reader: Reader = { unsent: 0, aliveAt: performance.now(), pingedAt: performance.now() };
    readers.set(socket, reader);
    const alive = () => void (reader.aliveAt = performance.now());
    socket.on('pong', alive);
    socket.on('message', alive);
    socket.on('close', () => readers.delete(socket));
  });
  const look = setInterval(
    () => {
      for (const [socket, reader] of readers) lookAfter(socket, reader, stallMilliseconds);
    },
    Math.min(1_000, stallMilliseconds / 2),
  );
  return {
    send: async (socket, frame) => {
      const reader = readers.get(socket);
      if (!reader || socket.readyState !== socket.OPEN) return false;
      if (socket.bufferedAmount > BUFFERED_BYTES) return closeSlow(socket);
      if (reader.unsent++ === 0) reader.aliveAt = performance.now();
      const sent = await new Promise<boolean>((resolve) =>
        socket.send(frame, { binary: false }, (error) => resolve(!error)),
      );
      reader.unsent -= 1;
      reader.aliveAt = performance.now();
      return sent;
    },
    stop: () => clearInterval(look),
  };
};

const lookAfter = (socket: WebSocket, reader: Reader, stallMilliseconds: number): void => {
  if (socket.readyState !== socket.OPEN) return;
  const now = performance.now();
  const silent = now - reader.aliveAt;
  if (reader.unsent > 0) {
    if (silent > stallMilliseconds) closeSlow(socket);
  } else if (silent > SILENT_MILLISECONDS) {
    socket.terminate();
  } else if (silent > PING_MILLISECONDS && now - reader.pingedAt > PING_MILLISECONDS) {
    reader.pingedAt = now;
    socket.ping();
  }
};

const closeSlow = (socket: WebSocket): false => {
  socket.close(SLOW_READER, 'This connection is not reading: come back with your last counter.');
  return false;
};

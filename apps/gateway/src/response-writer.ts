/** Writing a long answer: the next piece when the client has taken the last, so that nothing piles up here. */
import type { Response } from 'express';

/** A client that takes nothing for so long is cut off: it comes back with its cursor. */
const STALL_MILLISECONDS = 60_000;

/** See the head of the file. */
export interface ResponseWriter {
  /** False once the client is gone: whoever makes the pieces stops. */
  write(piece: string | Buffer): Promise<boolean>;
  /** The same without waiting, for signs of life; left out while something waits. */
  touch(piece: string): void;
}

/** A writer of the body of `response`. */
export const createResponseWriter = (
  response: Response,
  stallMilliseconds: number = STALL_MILLISECONDS,
): ResponseWriter => ({
  write: async (piece) => {
    if (response.destroyed || response.closed) return false;
    if (response.write(piece)) return true;
    return new Promise((resolve) => {
      const settle = (taken: boolean) => () => {
        clearTimeout(timer);
        response.off('drain', drained);
        response.off('close', gone);
        resolve(taken);
      };
      const [drained, gone] = [settle(true), settle(false)];
      const timer = setTimeout(() => response.destroy(), stallMilliseconds);
      response.on('drain', drained);
      response.on('close', gone);
    });
  },
  touch: (piece) => {
    if (!response.destroyed && !response.writableNeedDrain) response.write(piece);
  },
});

/**
 * Which containers end, heard from the engine's events: one stream for all waiters, open while there are any.
 * Not the engine's own `wait`: Podman 4.3 answers that by looking at the container without a pause, a whole processor per pod.
 */
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { joinSignals } from '@gantry/service/signals';
import type Docker from 'dockerode';

const reopenMilliseconds = 500;

/** Listens for the end of one container. */
export interface EndListener {
  /** Resolves with true once its end was heard (an earlier one counts), with false after so many milliseconds or when `signal` fires. */
  heard(milliseconds: number, signal: AbortSignal): Promise<boolean>;
  close(): void;
}

interface EngineEvent {
  Actor?: { Attributes?: Record<string, string> };
}

/** The ends of containers with this label. */
export const createEnds = (docker: Docker, label: string): { listen(name: string): EndListener } => {
  const emitter = new EventEmitter();
  emitter.setMaxListeners(0);
  let listeners = 0;
  let stream: AbortController | null = null;

  const follow = async (signal: AbortSignal): Promise<void> => {
    const options: Docker.GetEventsOptions = {
      filters: { type: ['container'], event: ['die'], label: [label] },
      abortSignal: signal,
    };
    while (!signal.aborted) {
      try {
        const events = await docker.getEvents(options);
        for await (const line of createInterface({ input: events })) {
          const name = (JSON.parse(line) as EngineEvent).Actor?.Attributes?.['name'];
          if (name) emitter.emit(name);
        }
      } catch {
        // The engine is away, or said something else: whoever waits looks by itself from time to time.
      }
      await pause(reopenMilliseconds, undefined, { signal }).catch(() => undefined);
    }
  };

  return {
    listen(name) {
      let over = false;
      const note = () => {
        over = true;
      };
      emitter.on(name, note);
      if (listeners++ === 0) {
        stream = new AbortController();
        void follow(stream.signal);
      }
      return {
        async heard(milliseconds, signal) {
          if (over || signal.aborted) return over;
          const joined = joinSignals([signal], milliseconds);
          await once(emitter, name, { signal: joined.signal }).catch(() => undefined);
          joined.release();
          return over;
        },
        close() {
          emitter.off(name, note);
          if (--listeners === 0) stream?.abort();
        },
      };
    },
  };
};

/** Core NATS, lossy: hints that something is new. Whoever gets one reads the truth from its owner. */
import { EventEnvelope } from '@gantry/contracts/envelope';
import { LiveHint, WatchedJobs } from '@gantry/contracts/record';
import { eventSubjects, liveSubject, WATCHED_SUBJECT } from '@gantry/contracts/subjects';
import type { NatsConnection } from '@nats-io/transport-node';

/** Tells whoever watches the job that there is more. Never throws, never waits: a lost hint costs a poll. */
export const publishLive = (nc: NatsConnection, hint: LiveHint): void => {
  if (nc.isClosed() || nc.isDraining()) return;
  nc.publish(liveSubject(hint.jobId), JSON.stringify(hint));
};

/** Hints of one job, or of all (`*`). Returns what ends it. Malformed hints are dropped. */
export const subscribeLive = (
  nc: NatsConnection,
  jobId: string,
  callback: (hint: LiveHint) => void,
): (() => void) =>
  follow(nc, liveSubject(jobId), (raw) => {
    const hint = LiveHint.safeParse(raw);
    if (hint.success) callback(hint.data);
  });

const JOBS_A_MESSAGE = 500;

/** Says which jobs are watched just now. Never throws, never waits: where it is lost, output is sent in larger steps for a while. */
export const publishWatched = (nc: NatsConnection, jobIds: readonly string[]): void => {
  if (nc.isClosed() || nc.isDraining()) return;
  for (let index = 0; index < jobIds.length; index += JOBS_A_MESSAGE)
    nc.publish(WATCHED_SUBJECT, JSON.stringify({ jobIds: jobIds.slice(index, index + JOBS_A_MESSAGE) }));
};

/** Hears which jobs are watched. Returns what ends it. */
export const subscribeWatched = (
  nc: NatsConnection,
  callback: (jobIds: readonly string[]) => void,
): (() => void) =>
  follow(nc, WATCHED_SUBJECT, (raw) => {
    const watched = WatchedJobs.safeParse(raw);
    if (watched.success) callback(watched.data.jobIds);
  });

/**
 * Events of these types (whole names, `job.finished`, or `job.*`) as they pass, for views that only want to be woken:
 * what passes while one is away is not seen. Needs a subscribe permission on the subject. Returns what ends it.
 */
export const subscribeEvents = (
  nc: NatsConnection,
  types: readonly string[],
  callback: (envelope: EventEnvelope) => void,
): (() => void) => {
  const ends = types.map((type) =>
    follow(nc, eventSubjects(type), (raw) => {
      const envelope = EventEnvelope.safeParse(raw);
      if (envelope.success) callback(envelope.data);
    }),
  );
  return () => ends.forEach((end) => end());
};

const follow = (nc: NatsConnection, subject: string, take: (raw: unknown) => void): (() => void) => {
  const subscription = nc.subscribe(subject, {
    callback: (error, message) => {
      if (error) return;
      let raw: unknown;
      try {
        raw = message.json();
      } catch {
        return;
      }
      take(raw);
    },
  });
  return () => subscription.unsubscribe();
};

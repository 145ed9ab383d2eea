/** One aggregate, one decision: load, fold, decide, append; decide anew when somebody was faster. */
import {
  parseEvent,
  type EventOf,
  type EventSpec,
  type Meta,
  type NewEvent,
  type StoredEvent,
} from '@gantry/contracts/envelope';
import { isPlatformError } from '@gantry/contracts/errors';
import type { AppendOptions, EventLog } from '@gantry/eventlog/log';

/** What a decision needs. */
export interface DecisionSettings<State, S extends EventSpec> {
  log: EventLog;
  stream: string;
  /** The state before the first event. */
  initial: State;
  evolve(state: State, event: EventOf<S>): State;
  /**
   * Pure: events to append, none when there is nothing to do; throws to refuse. `version` is the stream's (0: not there yet).
   * May be called again with a newer state, and must then give the same event ids.
   */
  decide(state: State, version: number): readonly NewEvent[];
  /** Events of the stream; others in it are passed over. */
  catalogue: Record<string, S>;
  meta: Meta;
  /** Runs in the appending transaction; see `AppendOptions`. */
  inTransaction?: AppendOptions['inTransaction'];
}

/** What came of it. */
export interface Decision<State> {
  /** With the new events in it. */
  state: State;
  /** Version of the stream now. */
  version: number;
  /** What was appended; empty when nothing was to be done. */
  events: StoredEvent[];
}

const attempts = 4;

/** Throws what `decide` throws; `conflict` when three retries all lost the race; what the log throws. */
export const decideAndAppend = async <State, S extends EventSpec>(
  settings: DecisionSettings<State, S>,
): Promise<Decision<State>> => {
  const { log, stream, decide, meta, inTransaction } = settings;
  for (let attempt = 1; ; attempt++) {
    const { state, version } = await loadAggregate(settings);
    const events = decide(state, version);
    if (events.length === 0) return { state, version, events: [] };
    try {
      const stored = await log.append(stream, version, events, meta, { inTransaction });
      return { state: fold(settings, state, stored), version: version + stored.length, events: stored };
    } catch (error) {
      const lostRace =
        isPlatformError(error) &&
        error.code === 'conflict' &&
        error.details['stream'] === stream &&
        error.details['reason'] === undefined;
      if (!lostRace || attempt >= attempts) throw error;
    }
  }
};

/** A stream folded to its state; `initial` and version 0 when there is no stream. */
export const loadAggregate = async <State, S extends EventSpec>(
  settings: Pick<DecisionSettings<State, S>, 'log' | 'stream' | 'initial' | 'evolve' | 'catalogue'>,
): Promise<{ state: State; version: number }> => {
  const stored = await settings.log.readStream(settings.stream);
  return { state: fold(settings, settings.initial, stored), version: stored.at(-1)?.streamVersion ?? 0 };
};

const fold = <State, S extends EventSpec>(
  { evolve, catalogue }: Pick<DecisionSettings<State, S>, 'evolve' | 'catalogue'>,
  initial: State,
  stored: readonly StoredEvent[],
): State =>
  stored.reduce((state, raw) => {
    const event = parseEvent(catalogue, raw);
    return event === null ? state : evolve(state, event);
  }, initial);

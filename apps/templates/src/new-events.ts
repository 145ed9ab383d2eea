/** From what a decider says to events that can be appended. */
import { makeEvent, type NewEvent } from '@gantry/contracts/envelope';
import { templateEvents } from '@gantry/contracts/template';
import { newId } from '@gantry/service/context';

const specs = new Map(Object.values(templateEvents).map((spec) => [spec.type as string, spec]));

/** Gives events ids, the same ones when the decider is asked again after a lost race. One call per command. */
export const eventNumbering = (): ((events: readonly { type: string; data: unknown }[]) => NewEvent[]) => {
  const ids: string[] = [];
  return (events) =>
    events.map(({ type, data }, index) =>
      makeEvent(specs.get(type)!, (ids[index] ??= newId()), data as never),
    );
};

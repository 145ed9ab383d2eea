/** Which events the Events tab shows: kept in the address, so that it can be linked to, shared and gone back to. */
import type { EventFilter, ResultStatus } from './job.queries.js';

/** How a result went, in the words of the address, with what it is called. */
export const statuses: { value: string; label: string }[] = [
  { value: 'ok', label: 'ok' },
  { value: 'changed', label: 'changed' },
  { value: 'failed', label: 'failed' },
  { value: 'unreachable', label: 'unreachable' },
  { value: 'skipped', label: 'skipped' },
  { value: 'ignored', label: 'ignored' },
];

/** A filter by its name in the address. */
export type FilterName = 'status' | 'kind' | 'host' | 'task' | 'play' | 'text' | 'changed';

/** The statuses that the address names; words that are none are passed over. */
export const statusesIn = (search: URLSearchParams): string[] =>
  (search.get('status') ?? '').split(',').filter((word) => statuses.some(({ value }) => value === word));

/** The filter that the address says; empty for all events. */
export const filterIn = (search: URLSearchParams): EventFilter => {
  const chosen = statusesIn(search);
  const one = (name: FilterName): string => search.get(name)?.trim() ?? '';
  const [kind, host, task, play, text] = [one('kind'), one('host'), one('task'), one('play'), one('text')];
  return {
    ...(chosen.length > 0 && { statuses: chosen.map((word) => word.toUpperCase() as ResultStatus) }),
    ...(kind && { events: [kind] }),
    ...(host && { hosts: [host] }),
    ...(task && { tasks: [task] }),
    ...(play && { plays: [play] }),
    ...(text && { text: text.slice(0, 200) }),
    ...(search.get('changed') === '1' && { changedOnly: true }),
  };
};

/** The address with one filter set, or without it if `value` is empty. */
export const withFilter = (search: URLSearchParams, name: FilterName, value: string): URLSearchParams => {
  const next = new URLSearchParams(search);
  if (value) next.set(name, value);
  else next.delete(name);
  return next;
};

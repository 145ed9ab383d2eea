/** What an event says about hosts, tasks and outcomes, read from ansible-runner's JSON, which is never to be trusted. */

/** Kinds of events that the index knows, by their number in it. Numbers are stored: add at the end, never renumber. */
export const kinds = [
  'other',
  'playbook_on_start',
  'playbook_on_play_start',
  'playbook_on_task_start',
  'playbook_on_handler_task_start',
  'playbook_on_stats',
  'playbook_on_include',
  'playbook_on_no_hosts_matched',
  'playbook_on_no_hosts_remaining',
  'playbook_on_notify',
  'playbook_on_vars_prompt',
  'runner_on_ok',
  'runner_on_failed',
  'runner_on_unreachable',
  'runner_on_skipped',
  'runner_on_no_hosts',
  'runner_on_async_poll',
  'runner_on_async_ok',
  'runner_on_async_failed',
  'runner_on_file_diff',
  'runner_retry',
  'runner_item_on_ok',
  'runner_item_on_failed',
  'runner_item_on_skipped',
  'warning',
  'deprecated',
  'error',
  'system_warning',
  'debug',
  // Something is gone for good: docs/PROTOCOL.md 1.3.
  'gantry_gap',
] as const;

const kindNumbers = new Map<string, number>(kinds.map((kind, number) => [kind, number]));
/** Number of an event's kind; undefined for one that the index does not name. */
export const kindNumber = (event: string): number | undefined => kindNumbers.get(event);

const withoutRow = new Set(['verbose', 'runner_on_start', '']);
const failures = new Set([
  'runner_on_failed',
  'runner_on_unreachable',
  'runner_on_async_failed',
  'runner_item_on_failed',
  'error',
  'gantry_gap',
]);
const changes = new Set([
  'runner_on_ok',
  'runner_item_on_ok',
  'runner_on_async_ok',
  'runner_on_failed',
  'runner_item_on_failed',
]);

/** What one event says. */
export interface Facts {
  event: string;
  host: string | null;
  taskUuid: string | null;
  task: string | null;
  play: string | null;
  role: string | null;
  failed: boolean;
  changed: boolean;
  ignored: boolean;
  durationMilliseconds: number | null;
  /** When it was made, by the pod's clock: as it says, unchecked. */
  created: string | null;
}

/** Columns of host_summary, in Ansible's words. */
export const counts = ['ok', 'changed', 'failures', 'dark', 'skipped', 'rescued', 'ignored'] as const;
/** Numbers of one host. */
export type Counts = Record<(typeof counts)[number], number>;

const none: Facts = {
  event: '',
  host: null,
  taskUuid: null,
  task: null,
  play: null,
  role: null,
  failed: false,
  changed: false,
  ignored: false,
  durationMilliseconds: null,
  created: null,
};

/** Reads an event; one that could not be parsed says nothing. */
export const factsOf = (event: Record<string, unknown> | null): Facts => {
  if (!event) return none;
  const name = textOf(event['event'], 100) ?? '';
  const data = objectOf(event['event_data']) ?? {};
  const ignored = data['ignore_errors'] === true;
  const duration = data['duration'];
  const stats = name === 'playbook_on_stats';
  return {
    event: name,
    host: textOf(data['host']),
    taskUuid: textOf(data['task_uuid']) ?? textOf(data['task']),
    task: textOf(data['task']),
    play: textOf(data['play']),
    role: textOf(data['role']),
    ignored,
    failed: stats ? anyCount(data['failures']) || anyCount(data['dark']) : failures.has(name) && !ignored,
    changed: stats
      ? anyCount(data['changed'])
      : changes.has(name) && objectOf(data['res'])?.['changed'] === true,
    durationMilliseconds:
      typeof duration === 'number' && duration >= 0 && duration < 2_000_000
        ? Math.round(duration * 1_000)
        : null,
    created: typeof event['created'] === 'string' ? event['created'] : null,
  };
};

/** Whether the event gets a row in the index: all but plain output and the starts of a host's tasks. */
export const isIndexed = (facts: Facts): boolean =>
  !withoutRow.has(facts.event) && (kindNumbers.has(facts.event) || facts.host !== null);

/** What the event adds to its host's numbers, null if nothing. Items are not counted, their task is. */
export const countsOf = (facts: Facts): Partial<Counts> | null => {
  const changed = facts.changed ? 1 : 0;
  switch (facts.event) {
    case 'runner_on_ok':
      return { ok: 1, changed };
    case 'runner_on_failed':
      return facts.ignored ? { ok: 1, changed, ignored: 1 } : { failures: 1 };
    case 'runner_on_unreachable':
      return { dark: 1 };
    case 'runner_on_skipped':
      return { skipped: 1 };
    default:
      return null;
  }
};

/** Ansible's own final numbers by host; null for any other event. */
export const statsOf = (event: Record<string, unknown> | null): Map<string, Counts> | null => {
  if (event?.['event'] !== 'playbook_on_stats') return null;
  const data = objectOf(event['event_data']) ?? {};
  const hosts = new Map<string, Counts>();
  const of = (host: string): Counts => {
    const found = hosts.get(host) ?? {
      ok: 0,
      changed: 0,
      failures: 0,
      dark: 0,
      skipped: 0,
      rescued: 0,
      ignored: 0,
    };
    hosts.set(host, found);
    return found;
  };
  for (const count of counts) {
    for (const [host, value] of Object.entries(objectOf(data[count]) ?? {})) {
      const name = textOf(host);
      if (name !== null && Number.isInteger(value) && (value as number) >= 0)
        of(name)[count] = Math.min(value as number, 2_000_000_000);
    }
  }
  for (const host of Object.keys(objectOf(data['processed']) ?? {})) {
    const name = textOf(host);
    if (name !== null) of(name);
  }
  return hosts;
};

const anyCount = (value: unknown): boolean =>
  Object.values(objectOf(value) ?? {}).some((count) => typeof count === 'number' && count > 0);

/** An object that is no array, else null. */
export const objectOf = (value: unknown): Record<string, unknown> | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;

/** Text that Postgres can hold, cut to `most` UTF-16 units: no NUL, no lone surrogates. Null for what is no text, or empty. */
export const textOf = (value: unknown, most = 500): string | null =>
  typeof value === 'string' && value !== ''
    ? wellFormed(value.length > most ? value.slice(0, most) : value)
    : null;

/** Replaces what neither Postgres nor UTF-8 can hold by U+FFFD. */
export const wellFormed = (text: string): string =>
  text.replace(/\u0000|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');

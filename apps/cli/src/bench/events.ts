/**
 * Job events of real shape: what ansible-runner makes of a chatty playbook, field by field and in its spelling (recorded from
 * a run of examples/demo-project/chatty.yml in the execution environment). Tasks loop over messages on some hosts; 1.0 to 1.4 KB
 * each but for the few that begin and end a task. Words, numbers and uuids are random from a seed: text that repeats itself
 * would compress better than any real job does.
 */

/** Makes the events of one job in order. */
export interface EventSource {
  /** The next event: one line of NDJSON without its newline, and how many lines of output it prints. */
  next(): { json: string; lines: number };
}

/** Numbers from a seed (mulberry32): [0, 1). The same seed gives the same job. */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

const words =
  `service unit config node cache backend cluster disk volume mount network bridge route peer session token policy rule queue worker
  shard replica leader follower snapshot backup restore release package module kernel driver socket listener gateway proxy tenant
  quota limit memory thread process handler request response header payload record journal segment index table schema column row
  checksum digest certificate key secret vault profile metric gauge counter alert probe check timer schedule window batch stream
  verified restarted reloaded enabled disabled pending ready degraded healthy stale current missing present updated unchanged`.split(
    /\s+/,
  );
const verbs = ['Check', 'Collect', 'Render', 'Verify', 'Configure', 'Report', 'Inspect', 'Prepare'];
const ITEMS_OF_A_TASK = 50;

/** The events of a job with so many hosts, for ever. `now`: milliseconds since the epoch, read for each event. */
export const createEventSource = (
  seed: number,
  jobId: string,
  hosts = 10,
  now: () => number = Date.now,
): EventSource => {
  const random = seeded(seed);
  const pick = (list: readonly string[]): string => list[Math.floor(random() * list.length)]!;
  const hex = (digits: number): string =>
    Math.floor(random() * 16 ** digits)
      .toString(16)
      .padStart(digits, '0');
  const uuid = (): string =>
    `${hex(8)}-${hex(4)}-4${hex(3)}-${'89ab'[Math.floor(random() * 4)]}${hex(3)}-${hex(6)}${hex(6)}`;
  const time = (): string =>
    `${new Date(now()).toISOString().slice(0, -1)}${hex(3).replace(/\D/g, '0')}+00:00`;
  const names = Array.from(
    { length: hosts },
    (_, index) =>
      `${pick(['web', 'app', 'db', 'cache', 'edge'])}${String(index + 1).padStart(3, '0')}.example.com`,
  );
  const [playbookUuid, playUuid, pid] = [uuid(), uuid(), 2 + Math.floor(random() * 30)];
  let [counter, line, task] = [0, 0, 0];

  const frame = (
    event: string,
    stdout: string,
    lines: number,
    parent: string,
    data: string,
  ): { json: string; lines: number } => {
    counter += 1;
    const own = uuid();
    const json =
      `{"uuid": "${own}", "counter": ${counter}, "stdout": ${JSON.stringify(stdout)}, "start_line": ${line}, "end_line": ${line + lines}, ` +
      `"runner_ident": "${jobId}", "event": "${event}", "pid": ${pid}, "created": "${time()}", "parent_uuid": "${parent}", ` +
      `"event_data": {"playbook": "site.yml", "playbook_uuid": "${playbookUuid}"${data}, "uuid": "${own}"}}`;
    line += lines;
    return { json, lines };
  };

  function* all(): Generator<{ json: string; lines: number }> {
    const play = `, "play": "Report on the fleet", "play_uuid": "${playUuid}", "play_pattern": "all"`;
    yield frame('playbook_on_start', '', 0, playbookUuid, '');
    yield frame(
      'playbook_on_play_start',
      `\r\nPLAY [Report on the fleet] ${'*'.repeat(52)}`,
      2,
      playbookUuid,
      `${play}, "name": "Report on the fleet", "pattern": "all"`,
    );
    for (;;) {
      task += 1;
      const name = `${pick(verbs)} ${pick(words)} ${pick(words)}`;
      const taskUuid = uuid();
      const about = `${play}, "task": "${name}", "task_uuid": "${taskUuid}", "task_action": "ansible.builtin.debug", "resolved_action": "ansible.builtin.debug", "task_args": "", "task_path": "/runner/project/roles/${pick(words)}/tasks/main.yml:${task}"`;
      yield frame(
        'playbook_on_task_start',
        `\r\nTASK [${name}] ${'*'.repeat(60)}`,
        2,
        playUuid,
        `${about}, "name": "${name}", "is_conditional": false`,
      );
      for (const host of names)
        yield frame('runner_on_start', '', 0, taskUuid, `${about}, "host": "${host}"`);
      for (let item = 1; item <= ITEMS_OF_A_TASK; item++)
        for (const host of names) yield itemEvent(about, taskUuid, host, item);
      for (const host of names) yield frame('runner_on_ok', '', 0, taskUuid, resultData(about, host));
    }
  }

  const message = (): string => {
    let text = `${pick(words)} ${pick(words)}`;
    const length = 6 + Math.floor(random() * 8);
    for (let index = 0; index < length; index++)
      text += random() < 0.25 ? ` ${Math.floor(random() * 100_000)}` : ` ${pick(words)}`;
    return text;
  };
  const itemEvent = (about: string, taskUuid: string, host: string, item: number) => {
    const text = message();
    const changed = random() < 0.05;
    const colour = changed ? '33' : '32';
    const stdout = `\u001b[0;${colour}m${changed ? 'changed' : 'ok'}: [${host}] => (item=${item}) => {\u001b[0m\r\n\u001b[0;${colour}m    "msg": "${text}"\u001b[0m\r\n\u001b[0;${colour}m}\u001b[0m`;
    return frame(
      'runner_item_on_ok',
      stdout,
      3,
      taskUuid,
      `${about}, "host": "${host}", "res": {"msg": "${text}", "_ansible_verbose_always": true, "changed": ${changed}, "_ansible_no_log": false, "item": ${item}, "ansible_loop_var": "item", "_ansible_item_label": ${item}}`,
    );
  };
  const resultData = (about: string, host: string): string => {
    const duration = (random() * 3).toFixed(6);
    return `${about}, "host": "${host}", "remote_addr": "${host}", "res": {"msg": "All items completed", "changed": ${random() < 0.3}}, "start": "${time()}", "end": "${time()}", "duration": ${duration}, "event_loop": null`;
  };

  const events = all();
  return { next: () => events.next().value as { json: string; lines: number } };
};

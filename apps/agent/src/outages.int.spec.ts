import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eeImage, runJob } from './pod.js';
import type { StrictIngest } from './strict-ingest.js';

const play = (tasks: string) => ({
  'site.yml': `- hosts: alpha\n  gather_facts: false\n  tasks:\n${tasks.replace(/^/gm, '    ')}\n`,
});
/** Prints `count` lines of about `size` bytes that do not compress. */
const noise = (count: number, size: number) =>
  `- debug: {msg: "{{ item }} {{ lookup('password', '/dev/null length=${size}') }}"}\n  loop: "{{ range(${count}) | list }}"`;
const items = (ingest: StrictIngest) => ingest.events.filter((event) => event.event === 'runner_item_on_ok');
/** The oracle: the playbook's own items, each once and in order, in a record that is whole. */
const expectWhole = (ingest: StrictIngest, count: number): void => {
  expect(ingest.breaches).toEqual([]);
  expect(ingest.events.map((event) => event.counter)).toEqual(ingest.events.map((_, index) => index + 1));
  expect(new Set(ingest.events.map((event) => event.uuid)).size).toBe(ingest.events.length);
  const lines = items(ingest).map((event) => /"msg": "(\d+) /.exec(event.stdout)?.[1]);
  expect(lines).toEqual(Array.from({ length: count }, (_, index) => String(index)));
  expect(ingest.finish).toMatchObject({
    status: 'successful',
    lastCounter: ingest.committed,
    lastLine: ingest.events.at(-1)?.end_line,
  });
};
/** No batch is taken, though heartbeats are, until the agent has said `words` and three heartbeats have passed since. */
const outageUntil = (words: string) => {
  let said = '';
  let beats = 0;
  let healed: Date | undefined;
  return {
    held: () => said.includes(words),
    heal: () => healed ?? new Date(0),
    onStderr: (text: string) => void (said += text),
    trouble: (call: string, number: number): 503 | undefined => {
      if (call === 'heartbeat' && said.includes(words)) beats++;
      if (call !== 'chunks' || number < 3) return undefined;
      if (beats < 3) return 503;
      healed ??= new Date();
      return undefined;
    },
  };
};
const mark = '- copy: {dest: /run/gantry/printed, content: ""}';

describe.skipIf(!eeImage)('a pod whose ingest is away', { timeout: 240_000 }, () => {
  it('keeps what it cannot send as private files on its volume, and lets go of them once they are committed', async () => {
    let folder = '';
    const { ingest, ended, stdout } = await runJob({
      files: play(
        [
          noise(250, 8_000),
          '- shell: "stat -c %a /runner/private/spool/* | sort | uniq -c"',
          '- shell: "cat /proc/[0-9]*/status | grep -A30 python3 | grep VmRSS"',
          mark,
          '- shell: until [ -z "$(ls /runner/private/spool)" ]; do sleep 0.1; done; echo all gone',
        ].join('\n'),
      ),
      payload: { arguments: ['-v'] },
      during: (_, __, path) => (folder = path),
      trouble: (call, number) =>
        call === 'chunks' && number > 2 && !existsSync(join(folder, 'printed')) ? 503 : undefined,
    });
    expect(ended.code).toBe(0);
    expectWhole(ingest, 250);
    expect(Number(/"(?:stdout": ")?\s*(\d+) 600"/.exec(stdout)?.[1])).toBeGreaterThan(1);
    expect(stdout).toContain('all gone');
  });

  it('holds the playbook back when the bound is reached, and drops nothing', async () => {
    const { held, heal, ...outage } = outageUntil('the playbook waits too');
    const { ingest, ended } = await runJob({
      files: play(noise(400, 8_000)),
      limits: { spoolBytes: 65_536, heartbeatSeconds: 1 },
      ...outage,
    });
    expect(held()).toBe(true);
    expect(ended.code).toBe(0);
    expectWhole(ingest, 400);
    const before = items(ingest).filter((event) => new Date(event.created) < heal());
    expect(before.length).toBeGreaterThan(0);
    // The bound, the pipe, and what was on its way, at 16 KB an event: beyond that it waited.
    expect(before.length).toBeLessThan(200);
  });

  it('holds the playbook back when the volume is full before the bound', async () => {
    const { held, ...outage } = outageUntil('the playbook waits too');
    const { ingest, ended } = await runJob({
      files: play(`- shell: cat /dev/zero > /runner/fill || true\n${noise(400, 8_000)}`),
      limits: { heartbeatSeconds: 1 },
      ...outage,
    });
    expect(held()).toBe(true);
    expect(ended).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('the volume takes no more events: [Errno 28]'),
    });
    expectWhole(ingest, 400);
  });

  it('goes on where ingest stands when that was killed and came back', async () => {
    let kills = 0;
    const { ingest, ended } = await runJob({
      files: play(noise(800, 100)),
      limits: { chunkEvents: 20 },
      during: (ingest, _, folder) => {
        let busy = false;
        ingest.onCommit = () => {
          if (busy || kills >= 4 || ingest.committed < 150 * (kills + 1)) return;
          busy = true;
          void (async () => {
            await ingest.close();
            kills++;
            await pause(300);
            await ingest.listen(join(folder, 'pods.sock'));
            busy = false;
          })();
        };
      },
    });
    expect(kills).toBe(4);
    expect(ended.code).toBe(0);
    expectWhole(ingest, 800);
  });

  it('sends nothing twice when every answer is lost for a while', async () => {
    let lost = 0;
    const { ingest, ended } = await runJob({
      files: play(noise(300, 100)),
      limits: { chunkEvents: 30, heartbeatSeconds: 1 },
      trouble: (call, number) => {
        if (!['start', 'chunks', 'finish'].includes(call)) return undefined;
        if (call === 'chunks' ? number % 9 < 6 : number < 3) return (lost++, 'lose');
        return undefined;
      },
    });
    expect(lost).toBeGreaterThan(10);
    expect(ended.code).toBe(0);
    expectWhole(ingest, 300);
  });

  it('is heard although it prints nothing', async () => {
    const { ingest } = await runJob({
      files: play('- command: sleep 5'),
      limits: { heartbeatSeconds: 1 },
    });
    expect(ingest.calls.filter((call) => call === 'heartbeat').length).toBeGreaterThan(2);
    expect(ingest.finish).toMatchObject({ status: 'successful' });
  });
});

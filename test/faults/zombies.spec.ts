/** F11: batches that come twice, out of order, overlapping, and from a pod whose job another one has. */
import { describe, expect, it } from 'vitest';
import { openPod } from './launcher.js';
import { expectWhole, toldBy } from './oracle.js';
import { sql } from './parts.js';
import type { Batch, Pod } from './pod.js';
import { watch } from './watcher.js';

/** The event of a counter, the same bytes whoever sends it. */
const line = (counter: number, say = 'x'): string =>
  JSON.stringify({
    uuid: `u-${counter}`,
    event: 'verbose',
    counter,
    start_line: 0,
    end_line: 0,
    stdout: '',
    say,
  });
const lines = (first: number, last: number, say?: string): string[] =>
  Array.from({ length: last - first + 1 }, (_, index) => line(first + index, say));

interface Place {
  counter: number;
  line: number;
  head: string;
}
const placeOf = ({ counter, line: at, head }: Pod): Place => ({ counter, line: at, head });

/** Cuts a batch as if the pod stood elsewhere. */
const cutAt = (pod: Pod, place: Place, content: string[]): Batch => {
  const now = placeOf(pod);
  Object.assign(pod, place);
  const batch = pod.cutLines(content);
  Object.assign(pod, now);
  return batch;
};

/** Numbers that look random and are the same in every run. */
const dice = (seed: number) => (sides: number) => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return (seed >>> 8) % sides;
};

describe('batches of one attempt', () => {
  it('are stored once each, however often, in whatever order and however cut they come', async () => {
    const pod = await openPod();
    const watcher = watch(pod.jobId);
    const roll = dice(11);
    const places: Place[] = [placeOf(pod)];
    const batches = Array.from({ length: 60 }, () => {
      const batch = pod.cutLines(lines(pod.counter + 1, pod.counter + 1 + roll(20)));
      places.push(placeOf(pod));
      return batch;
    });
    const statuses = new Set<number>();
    for (let next = 0; next < batches.length;) {
      const wild = [
        batches[next]!,
        batches[next]!,
        batches[roll(next + 1)]!,
        batches[Math.min(next + 1 + roll(3), batches.length - 1)]!,
      ];
      if (next > 1) {
        // The same events cut anew: from the middle of what is committed to its end, or beyond.
        const from = places[next - 1]!;
        wild.push(cutAt(pod, from, lines(from.counter + 1, places[next]!.counter + roll(3))));
      }
      const order = wild.map((batch) => ({ batch, at: roll(1_000) })).sort((a, b) => a.at - b.at);
      const replies = await Promise.all(order.map(({ batch }) => pod.send(batch)));
      for (const { status } of replies) statuses.add(status);
      const committed = Math.max(...replies.map(({ body }) => body.committed ?? 0), pod.committed);
      pod.committed = committed;
      while (next < batches.length && batches[next]!.last <= committed) next++;
    }
    expect([...statuses].filter((status) => ![200, 409].includes(status))).toEqual([]);
    expect(statuses).toContain(409);
    await pod.finish();
    const stored = await expectWhole(toldBy(pod), await watcher.done);
    expect(stored.map(String)).toEqual(lines(1, pod.counter));
  });

  it('with other bytes for what is committed raise an alarm and overwrite nothing', async () => {
    const pod = await openPod();
    const start = placeOf(pod);
    expect((await pod.send(pod.cutLines(lines(1, 10)))).status).toBe(200);
    for (const forged of [lines(1, 10, 'forged'), lines(1, 4, 'forged'), lines(1, 15, 'forged')]) {
      const { status, body } = await pod.send(cutAt(pod, start, forged));
      expect({ status, reason: body.details?.['reason'] }).toEqual({ status: 409, reason: 'integrity' });
    }
    await pod.finish();
    expect((await expectWhole(toldBy(pod))).map(String)).toEqual(lines(1, 10));
    const alarms = await sql(
      `select 1 from ingest.event_log where stream = $1 and type = 'record.integrity_alarm'`,
      [`record-${pod.jobId}`],
    );
    expect(alarms).toHaveLength(3);
  });
});

describe('a pod whose job another one has', () => {
  it('is told to stop, and not one of its events gets in between', async () => {
    const zombie = await openPod();
    const watcher = watch(zombie.jobId);
    for (let batch = 0; batch < 5; batch++)
      expect(
        (await zombie.send(zombie.cutLines(lines(zombie.counter + 1, zombie.counter + 10)))).status,
      ).toBe(200);
    const heir = await openPod(zombie.jobId, 2);
    Object.assign(heir, placeOf(zombie));
    let told = 0;
    for (let round = 0; round < 30; round++) {
      const ours = heir.cutLines(lines(heir.counter + 1, heir.counter + 10));
      const theirs = zombie.cutLines(lines(zombie.counter + 1, zombie.counter + 10, 'zombie'));
      const calls = [heir.send(ours), zombie.send(theirs), heir.send(ours)];
      if (round % 2) calls.reverse();
      const replies = await Promise.all(calls);
      for (const { status, body } of replies) {
        if (status === 200) continue;
        expect({ status, reason: body.details?.['reason'] }).toEqual({ status: 403, reason: 'stale_epoch' });
        told++;
      }
    }
    expect(told).toBe(30);
    const end = { lastCounter: heir.counter, lastLine: 0, hash: heir.head, status: 'failed', exitCode: 1 };
    expect((await zombie.call('finish', end)).status).toBe(403);
    expect((await zombie.call('heartbeat', {})).status).toBe(403);
    await heir.finish();
    const stored = await expectWhole(toldBy(heir), await watcher.done);
    expect(stored.map(String)).toEqual(lines(1, heir.counter));
  });
});

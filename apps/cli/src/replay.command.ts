/** `gantry replay <file or job>`: the output as it came, with its own timing. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { chainBegin, checkChunk } from '@gantry/eventlog/record-check';
import { eventsOf, openArchive, type Archive, type ShownEvent } from './archive/archive.js';
import { findEndpoint, request, type Endpoint } from './client.js';
import { replay } from './replay.js';
import { exitCodes, paint, safeOutput } from './terminal.js';
import { getJob } from './jobs.command.js';
import { jobOrFile, oneLine } from './verify.command.js';

/** Options of the command. */
export interface ReplayOptions {
  speed: number;
  from: number;
}

/** The events of an archive from a counter on; `damage` is told of each chunk that is not as it was written. */
async function* archiveEvents(
  archive: Archive,
  from: number,
  damage: (message: string) => void,
): AsyncGenerator<ShownEvent> {
  let state = chainBegin(archive.jobId);
  for (const { file, storedLength: _, ...header } of archive.manifest?.chunks ?? []) {
    const entry = archive.entry(file);
    if (!entry) continue;
    const payload = await archive.read(entry);
    const checked = await checkChunk(archive.jobId, state, header, payload);
    state = checked.state;
    for (const { message } of checked.findings) damage(message);
    if (header.lastCounter < from) continue;
    const events = await eventsOf(payload).catch(() => []);
    for (const event of events) if (event.counter >= from) yield event;
  }
}

const EVENTS = `query ($id: ID!, $after: Int) { job(id: $id) { events(first: 500, after: $after) {
  hasNextPage lastCounter nodes { counter created stdout startLine endLine } } } }`;

async function* jobEvents(endpoint: Endpoint, id: string, from: number): AsyncGenerator<ShownEvent> {
  for (let after = Math.max(0, from - 1); ;) {
    const { job } = await request<{
      job: { events: { nodes: ShownEvent[]; hasNextPage: boolean; lastCounter: number } };
    }>(endpoint, EVENTS, { id, after });
    yield* job.events.nodes;
    if (!job.events.hasNextPage || job.events.lastCounter <= after) return;
    after = job.events.lastCounter;
  }
}

/** Shows events until they end or Ctrl-C; the exit code. */
const show = async (events: AsyncIterable<ShownEvent>, speed: number): Promise<number> => {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  process.once('SIGINT', interrupt);
  try {
    await replay(events, {
      speed,
      wait: async (milliseconds) => pause(milliseconds, undefined, { signal: stop.signal }),
      write: async (text) => {
        stop.signal.throwIfAborted();
        if (!process.stdout.write(safeOutput(text))) await once(process.stdout, 'drain');
      },
      onPause: (seconds) => {
        if (process.stderr.isTTY) process.stderr.write(`${paint.dim(`  … ${Math.round(seconds)} s`)}\n`);
      },
    });
    return exitCodes.ok;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    // Whatever colour the output was in, the terminal is the user's again.
    if (process.stdout.isTTY) process.stdout.write('\u001b[0m\n');
    return exitCodes.interrupted;
  } finally {
    process.off('SIGINT', interrupt);
  }
};

/** The command. */
export const replayCommand = async (target: string, { speed, from }: ReplayOptions): Promise<number> => {
  if (jobOrFile(target) === 'job') {
    const endpoint = findEndpoint();
    await getJob(endpoint, target);
    return show(jobEvents(endpoint, target, from), speed);
  }
  const archive = await openArchive(target);
  try {
    const damage: string[] = [];
    const code = await show(
      archiveEvents(archive, from, (message) => damage.push(message)),
      speed,
    );
    const wrong = [...archive.findings.map(({ message }) => message), ...damage];
    if (wrong.length === 0 || code !== exitCodes.ok) return code;
    process.stderr.write(
      `gantry: this archive is damaged: ${oneLine(wrong[0]!)} \`gantry verify ${target}\` says everything.\n`,
    );
    return exitCodes.failed;
  } finally {
    await archive.close();
  }
};

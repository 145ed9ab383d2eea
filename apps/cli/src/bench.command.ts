/**
 * `gantry bench`: the budgets of docs/BUDGETS.md, each beside a reference of the same run. It measures a Gantry of its own,
 * which is wiped afterwards, whatever happens; yours goes on beside it.
 */
import { PlatformError } from '@gantry/contracts/errors';
import { browserCase } from './bench/browser.case.js';
import type { BenchCase, CaseContext, Size } from './bench/case.js';
import { chattyCase } from './bench/chatty.case.js';
import { concurrentCase } from './bench/concurrent.case.js';
import { costCase } from './bench/cost.case.js';
import { ingestCase } from './bench/ingest.case.js';
import { inventoryCase } from './bench/inventory.case.js';
import { readCase } from './bench/read.case.js';
import { replicasCase } from './bench/replicas.case.js';
import { forMarkdown, forPeople, forPrograms, isKept, type Report } from './bench/result.js';
import { liveCase } from './bench/live.case.js';
import { launchCase, memoryCase, startCase } from './bench/start.case.js';
import { storageCase } from './bench/storage.case.js';
import { startWorld, wipeWorld, type World } from './bench/world.js';
import { exitCodes, print, printJson, report } from './terminal.js';

/** In the order they run: those of one mode together. */
const cases: BenchCase[] = [
  startCase,
  memoryCase,
  launchCase,
  inventoryCase,
  chattyCase,
  ingestCase,
  storageCase,
  liveCase,
  concurrentCase,
  replicasCase,
  costCase,
  readCase,
  browserCase,
];

/** For `--help`. */
export const benchHelp = (): string =>
  `\nCases: (all, if you name none)\n${cases.map(({ name, title }) => `  ${name.padEnd(12)}${title}`).join('\n')}\n
Exit code 1: a budget was missed. On a busy machine those in seconds may be; CPU and bytes hardly.`;

/** Options of `gantry bench`. */
export interface BenchOptions {
  json?: boolean;
  markdown?: boolean;
  size?: string;
}

/** Measures and prints; exit code 1 if a budget is missed. Throws `invalid` for a case or size that there is not. */
export const benchCommand = async (names: string[], options: BenchOptions): Promise<number> => {
  const chosen = choose(names);
  const size = sizeOf(options.size);
  const reports: Report[] = [];
  const failed: string[] = [];
  const stopWiping = wipeWhenStopped();
  try {
    for (const mode of ['embedded', 'separate'] as const) {
      const those = chosen.filter((each) => each.mode === mode);
      if (those.length > 0) reports.push(...(await runIn(mode, those, size, failed)));
    }
  } finally {
    say('wiping the measured Gantry');
    try {
      wipeWorld();
    } catch (error) {
      // What was measured is not lost with it.
      report(error);
    }
    stopWiping();
  }
  if (options.json) printJson(forPrograms(reports));
  else print(options.markdown ? forMarkdown(reports) : forPeople(reports));
  // Whatever the size: a case that did not run to its end is a failure.
  if (failed.length > 0) return exitCodes.failed;
  const missed = reports.flatMap(({ bounds }) => bounds).some((bound) => !isKept(bound));
  // Tiny runs show that it works; their figures mean nothing.
  return missed && size === 'full' ? exitCodes.failed : exitCodes.ok;
};

const choose = (names: string[]): BenchCase[] => {
  const unknown = names.filter((name) => !cases.some((each) => each.name === name));
  if (unknown.length > 0)
    throw new PlatformError(
      'invalid',
      `There is no case ${unknown.join(', ')}: choose among ${cases.map(({ name }) => name).join(', ')}.`,
    );
  return names.length === 0 ? cases : cases.filter(({ name }) => names.includes(name));
};

const sizeOf = (text = 'full'): Size => {
  if (text !== 'full' && text !== 'tiny')
    throw new PlatformError('invalid', `--size ${text}: choose full or tiny.`);
  return text;
};

const say = (text: string): void => void process.stderr.write(`  … ${text}\n`);

/** One case that fails does not take the others' figures with it: its name goes to `failed`. */
const runIn = async (
  mode: World['mode'],
  those: BenchCase[],
  size: Size,
  failed: string[],
): Promise<Report[]> => {
  say(`starting a Gantry to be measured (${mode === 'embedded' ? 'one process' : 'a process per service'})`);
  let world = await startWorld(mode, true);
  const reports: Report[] = [];
  try {
    if (those.includes(startCase)) {
      await world.stop();
      world = await startWorld(mode, false);
    }
    for (const each of those) {
      const context: CaseContext = {
        world,
        sized: (full, tiny) => (size === 'full' ? full : tiny),
        say: (text) => say(`${each.name}: ${text}`),
      };
      say(`${each.name}: ${each.title}`);
      const started = performance.now();
      try {
        reports.push(...(await each.run(context)));
      } catch (error) {
        failed.push(each.name);
        report(error);
      }
      say(`${each.name}: took ${((performance.now() - started) / 1_000).toFixed(0)} s`);
    }
  } finally {
    await world.stop();
  }
  return reports;
};

/** Ctrl-C leaves nothing behind either. Returns how to leave signals alone again. */
const wipeWhenStopped = (): (() => void) => {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const onSignal = (): void => {
    try {
      wipeWorld();
    } finally {
      process.exit(exitCodes.interrupted);
    }
  };
  for (const name of signals) process.once(name, onSignal);
  return () => signals.forEach((name) => process.off(name, onSignal));
};

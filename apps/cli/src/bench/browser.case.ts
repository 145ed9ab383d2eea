/** `browser`: a job of 1,000,000 events in the page, in a real browser: how soon any line is on the screen, and the tab's memory. */
import { bigJob, knownJob } from './big-job.js';
import { openTab, type Tab } from './browser.js';
import type { BenchCase, CaseContext } from './case.js';
import { seeded } from './events.js';
import { createLatencies } from './latencies.js';
import { startLoad } from './load.process.js';
import { most, type Report } from './result.js';

const LOOK_MILLISECONDS = 200;
const WHEEL_PIXELS = 2_000;
/** Faster than any playbook prints. */
const FOLLOWED_PER_SECOND = 5_000;

/** The most that a tab takes while something is done in it. */
const watchTab = async <T>(tab: Tab, run: () => Promise<T>): Promise<{ value: T; rssMb: number }> => {
  let rssMb = tab.ownMb();
  const look = () => void (rssMb = Math.max(rssMb, tab.ownMb()));
  const timer = setInterval(look, LOOK_MILLISECONDS);
  try {
    const value = await run();
    look();
    return { value, rssMb };
  } finally {
    clearInterval(timer);
  }
};

/** A line (from 0) with its text. */
const lineShown = ({ page }: Tab, line: number) =>
  page.locator(`[data-testid="job-output-line"][data-line="${line + 1}"] .out-text:not(:has(.out-pending))`);

const linesOf = async ({ page }: Tab): Promise<number> =>
  Number(await page.getByTestId('job-output').getAttribute('data-lines'));

const untilComplete = ({ page }: Tab) =>
  page.locator('[data-testid="job-output"][data-final="true"]').waitFor({ timeout: 300_000 });

/** Loads the page at a line, until that line is there. */
const openAt = async (tab: Tab, path: string, line: number): Promise<void> => {
  await tab.page.goto('about:blank');
  await tab.page.goto(`${path}#L${line + 1}`);
  await lineShown(tab, line).waitFor({ timeout: 60_000 });
};

/** How soon any line is on the screen, the page loaded anew each time. */
const measureOpening = async (context: CaseContext, tab: Tab) => {
  const { job } = await bigJob(context);
  const path = `/jobs/${job.jobId}`;
  const random = seeded(9);
  const latencies = createLatencies();
  await openAt(tab, path, 0);
  await untilComplete(tab);
  const lines = await linesOf(tab);
  for (let time = 0; time < context.sized(20, 3); time++) {
    const line = Math.floor(random() * lines);
    const started = performance.now();
    await openAt(tab, path, line);
    latencies.add(performance.now() - started);
  }
  return { ...latencies.percentiles(), lines };
};

const measureReading = async (
  context: CaseContext,
  tab: Tab,
  { lines, ...opening }: Awaited<ReturnType<typeof measureOpening>>,
): Promise<Report> => {
  const { say, sized } = context;
  const { job, events } = await bigJob(context);
  say('reading, scrolling, to the end, searching');
  const { rssMb } = await watchTab(tab, async () => {
    for (const part of [0, 0.9, 0.3]) await openAt(tab, `/jobs/${job.jobId}`, Math.floor(lines * part));
    await tab.page.getByTestId('job-output').hover();
    for (let turn = 0; turn < sized(200, 10); turn++) await tab.page.mouse.wheel(0, WHEEL_PIXELS);
    await tab.page.getByTestId('jump-to-latest').click();
    await lineShown(tab, lines - 1).waitFor();
    await tab.page.getByTestId('output-search').fill('verified');
    await tab.page.locator('.out-text mark').first().waitFor({ timeout: 60_000 });
  });
  const heapMb = await tab.heapMb();
  say(`the tab's scripts hold ${heapMb.toFixed(1)} MB`);
  return {
    case: 'browser',
    what: `the page loaded at any line until that line is on the screen; memory: a tab's most while it is opened at three lines, scrolled, to the end, searched (its scripts held ${heapMb.toFixed(0)} MB at the end)`,
    events,
    ...opening,
    rssMb,
    bounds: [
      most('browser: ms to any line of 1,000,000 events on the screen', opening.maxMs, 1_000),
      most('browser: MB of the tab', rssMb, 300),
    ],
  };
};

const measureFollowing = async (context: CaseContext, tab: Tab): Promise<Report> => {
  const { world, say, sized } = context;
  const events = sized(200_000, 2_000);
  const job = await knownJob(context);
  const load = await startLoad(world, {
    jobs: [job],
    eventsPerJob: events,
    eventsPerSecond: FOLLOWED_PER_SECOND,
  });
  try {
    await tab.page.goto('about:blank');
    await tab.page.goto(`/jobs/${job.jobId}`);
    await tab.page.getByTestId('job-output').waitFor();
    say(`following ${events} events`);
    const { value: seconds, rssMb } = await watchTab(tab, async () => {
      const started = performance.now();
      const sending = load.go();
      await tab.page.getByTestId('jump-to-latest').click({ timeout: 60_000 });
      await sending;
      await load.finish();
      await untilComplete(tab);
      await lineShown(tab, (await linesOf(tab)) - 1).waitFor();
      return (performance.now() - started) / 1_000;
    });
    const heapMb = await tab.heapMb();
    say(`the tab's scripts hold ${heapMb.toFixed(1)} MB`);
    return {
      case: 'browser-follow',
      what: `the page follows a job that prints ${FOLLOWED_PER_SECOND} events/s to its end; memory: the tab's most (its scripts held ${heapMb.toFixed(0)} MB at the end)`,
      events,
      seconds,
      eventsPerSecond: events / seconds,
      rssMb,
      bounds: [most('browser-follow: MB of the tab', rssMb, 300)],
    };
  } finally {
    load.stop();
  }
};

/** The case. */
export const browserCase: BenchCase = {
  name: 'browser',
  title: 'a job of 1,000,000 events in a real browser: time to any line, memory of the tab',
  mode: 'separate',
  run: async (context) => {
    const found = await withTab(context, (tab) => measureOpening(context, tab));
    if (!found) {
      context.say('left out: it needs Chromium (apt-get install chromium) and playwright-core (npm ci)');
      return [];
    }
    const reports = [
      // A browser of its own each: what the one before left behind is no part of it.
      await withTab(context, (tab) => measureReading(context, tab, found)),
      await withTab(context, (tab) => measureFollowing(context, tab)),
    ];
    return reports.filter((report) => report !== null);
  },
};

const withTab = async <T>({ world }: CaseContext, run: (tab: Tab) => Promise<T>): Promise<T | null> => {
  const tab = await openTab(world);
  if (!tab) return null;
  try {
    return await run(tab);
  } finally {
    await tab.close();
  }
};

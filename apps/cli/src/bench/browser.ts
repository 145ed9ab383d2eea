/** A real browser on the page of the measured Gantry, and the memory of its tab. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { ownMb } from './processes.js';
import type { World } from './world.js';

/** A tab, signed in. */
export interface Tab {
  page: Page;
  /** Memory of the process that draws it, Chromium's program left out, in MB. */
  ownMb(): number;
  /** What its scripts hold after a garbage collection, in MB. */
  heapMb(): Promise<number>;
  close(): Promise<void>;
}

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** Chromium on this machine, or null. */
export const findChromium = (): string | null =>
  NAMES.flatMap((name) =>
    (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)),
  ).find((path) => existsSync(path)) ?? null;

/** Opens a tab in a browser of its own. Null without Chromium, or without playwright-core, a development dependency. */
export const openTab = async (world: World): Promise<Tab | null> => {
  const executablePath = findChromium();
  const playwright = await import('playwright-core').catch(() => null);
  if (!executablePath || !playwright) return null;
  const browser = await playwright.chromium.launch({
    executablePath,
    // As root, and in containers, Chromium cannot make its sandbox.
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
  try {
    return await signedIn(browser, world);
  } catch (error) {
    await browser.close();
    throw error;
  }
};

const signedIn = async (browser: Browser, { endpoint }: World): Promise<Tab> => {
  const page = await browser.newPage({
    baseURL: new URL(endpoint.url).origin,
    viewport: { width: 1280, height: 800 },
  });
  await page.goto('/jobs');
  await page.getByTestId('login-token').fill(endpoint.token);
  await page.getByTestId('login-submit').click();
  await page.getByTestId('login-submit').waitFor({ state: 'detached' });
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const system = await browser.newBrowserCDPSession();
  const { processInfo } = await system.send('SystemInfo.getProcessInfo');
  const pids = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
  return {
    page,
    ownMb: () => Math.max(...pids.map(ownMb)),
    heapMb: async () => {
      await session.send('HeapProfiler.collectGarbage');
      const { metrics } = await session.send('Performance.getMetrics');
      return metrics.find(({ name }) => name === 'JSHeapUsedSize')!.value / 1e6;
    },
    close: () => browser.close(),
  };
};

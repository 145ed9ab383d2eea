/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** A real browser for the tests of the page, and a note of everything it complains of. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { adminToken, world } from './api.js';

/** The browser that the set-up found on this machine. */
const executable = (): string => {
  const { chromium: found } = JSON.parse(readFileSync(join(world.home, 'machine.json'), 'utf8')) as {
    chromium?: string;
  };
  const path = found ?? '/usr/bin/chromium';
  if (!existsSync(path))
    throw new Error(`There is no Chromium at ${path}. Install one, then run the tests again.`);
  return path;
};

/** Starts the browser, with all of its own traffic off. */
export const startBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: executable(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });

/** A tab with what went wrong in it. */
export interface Tab {
  page: Page;
  context: BrowserContext;
  /** Errors on the console and exceptions. */
  complaints: string[];
  /** Requests to anywhere but Gantry. */
  strangers: string[];
}

/** Opens a tab with a storage of its own; nobody is signed in. */
export const openTab = async (browser: Browser): Promise<Tab> => {
  const context = await browser.newContext({ baseURL: world.web, viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  const strangers: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const { host } = new URL(world.web);
  const note = (url: string) => {
    const { protocol, host: theirs } = new URL(url);
    if (/^(https?|wss?):$/.test(protocol) && theirs !== host) strangers.push(url);
  };
  page.on('request', (request) => note(request.url()));
  page.on('websocket', (socket) => note(socket.url()));
  return { page, context, complaints, strangers };
};

/** Signs in by the form. */
export const signIn = async (page: Page, token = adminToken()): Promise<void> => {
  await page.getByTestId('login-token').fill(token);
  await page.getByTestId('login-submit').click();
};

/** Opens a tab at a path, signed in. */
export const openSignedIn = async (browser: Browser, path = '/jobs', token?: string): Promise<Tab> => {
  const tab = await openTab(browser);
  await tab.page.goto(path);
  await signIn(tab.page, token);
  await tab.page.getByTestId('logout').or(tab.page.locator('.bar-user')).first().waitFor();
  return tab;
};

/** What the output of a job shows of itself. */
export interface Shown {
  lines: number;
  counter: number;
  final: boolean;
}

/** Reads it; null while the output is not there. */
export const shown = (page: Page): Promise<Shown | null> =>
  page.evaluate(() => {
    const output = document.querySelector<HTMLElement>('[data-testid="job-output"]');
    return (
      output && {
        lines: Number(output.dataset['lines']),
        counter: Number(output.dataset['counter']),
        final: output.dataset['final'] === 'true',
      }
    );
  });

/** Waits until the output is complete. */
export const untilFinal = (page: Page): Promise<unknown> =>
  page.locator('[data-testid="job-output"][data-final="true"]').waitFor({ timeout: 120_000 });

/** Waits until at least so many lines are there. */
export const untilLines = (page: Page, count: number): Promise<unknown> =>
  page.waitForFunction(
    (least) =>
      Number(document.querySelector<HTMLElement>('[data-testid="job-output"]')?.dataset['lines'] ?? 0) >=
      least,
    count,
    { timeout: 120_000 },
  );

/**
 * Every line of the output, as a reader who scrolls from the first to the last sees it. Only what is in view is in the page, so
 * it is scrolled through; a line that shows two texts, or one out of order, throws.
 */
export const readOutput = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const scroller = document.querySelector<HTMLElement>('[data-testid="job-output"]')!;
    const total = Number(scroller.dataset['lines']);
    const seen = new Map<number, string>();
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    scroller.dispatchEvent(new WheelEvent('wheel', { deltaY: -1, bubbles: true }));
    for (let top = 0; seen.size < total; top += scroller.clientHeight / 2) {
      scroller.scrollTop = top % (scroller.scrollHeight + scroller.clientHeight);
      await frame();
      await frame();
      let before = 0;
      for (const line of scroller.querySelectorAll<HTMLElement>('[data-testid="job-output-line"]')) {
        const number = Number(line.dataset['line']);
        if (before && number !== before + 1) throw new Error(`line ${number} stands after line ${before}`);
        before = number;
        if (line.querySelector('.out-pending')) continue;
        const text = line.querySelector('.out-text')!.textContent;
        if (seen.has(number) && seen.get(number) !== text) throw new Error(`line ${number} changed its text`);
        seen.set(number, text);
      }
    }
    return Array.from({ length: total }, (_, index) => seen.get(index + 1)!);
  });

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ask, containersOf, engine, getJob, launch, over, pidOf, type Job } from './api.js';
import {
  openSignedIn,
  openTab,
  readOutput,
  shown,
  signIn,
  startBrowser,
  untilFinal,
  untilLines,
  type Tab,
} from './browser.js';
import { make, makeTemplate } from './objects.js';

let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser?.close());

let tab: Tab;
/** A story may break the connection on purpose; then the browser itself complains. */
let mayComplain: RegExp | null = null;
afterEach(async () => {
  await tab.context.close();
  const complaints = tab.complaints.filter((complaint) => !mayComplain?.test(complaint));
  mayComplain = null;
  expect(complaints).toEqual([]);
  expect(tab.strangers).toEqual([]);
});

/** The status beside the title of a job's page, once it is this one. */
const untilStatus = (page: Page, status: string) =>
  page.locator(`.job-head [data-testid="job-status"][data-status="${status}"]`).waitFor({ timeout: 120_000 });

/** What a job printed, by the API, without colours. */
const printed = async (id: string): Promise<string[]> => {
  const { job } = await ask<{ job: { stdout: { text: string; totalLines: number } } }>(
    'query ($id: ID!) { job(id: $id) { stdout(startLine: 0) { text totalLines } } }',
    { id },
  );
  return job.stdout.text
    .replace(/\u001b\[[0-9;]*m/g, '')
    .split(/\r?\n/)
    .slice(0, job.stdout.totalLines);
};

/** The page shows the whole record, once. */
const expectWhole = async (page: Page, job: Job): Promise<string[]> => {
  expect(await shown(page)).toEqual({
    lines: job.record!.lastLine,
    counter: job.record!.lastCounter,
    final: true,
  });
  const lines = await readOutput(page);
  expect(lines).toEqual(await printed(job.id));
  return lines;
};

const idOf = (page: Page): string => /\/jobs\/([0-9a-f-]{36})/.exec(page.url())![1]!;

describe('signing in', () => {
  it("says the API's own sentence for a wrong token, and shows the jobs for a right one", async () => {
    tab = await openTab(browser);
    const { page } = tab;
    mayComplain = /401/;
    await page.goto('/');
    await signIn(page, `gantry_${randomUUID()}`);
    await page
      .getByText(/not valid|not good|no such token|gantry token`? prints/i)
      .first()
      .waitFor();
    expect(await page.getByTestId('jobs-table').count()).toBe(0);
    await signIn(page);
    await page.getByRole('heading', { name: 'Jobs' }).waitFor();
  });

  it('leads back to the sign-in when the token is revoked, and there says why', async () => {
    mayComplain = /401/;
    const userId = await make('createUser', 'CreateUserInput', {
      username: `reader-${randomUUID().slice(0, 8)}`,
    });
    const { issueToken } = await ask<{ issueToken: { id: string; token: string } }>(
      'mutation ($userId: ID) { issueToken(input: { userId: $userId }) { id token } }',
      { userId },
    );
    tab = await openSignedIn(browser, '/jobs', issueToken.token);
    const { page } = tab;
    await page.locator('.live-mark.is-live').waitFor();
    await ask('mutation ($id: ID!) { revokeToken(id: $id) }', { id: issueToken.id });
    // Nobody touches the page: what it follows live tells it.
    await page.getByTestId('login-token').waitFor({ timeout: 60_000 });
    await page.getByText('Your session has ended').waitFor();
    expect(await page.evaluate(() => JSON.stringify([sessionStorage, localStorage]))).not.toContain(
      'gantry_',
    );
  });
});

describe('a job launched from the page', () => {
  it('is followed live from its first line to its last, in colours, and is the same when read again', async () => {
    tab = await openSignedIn(browser, '/templates');
    const { page } = tab;
    await page.locator('[data-testid="launch-button"][data-name="Demo Slow"]').click();
    await page.getByTestId('launch-variables').fill('seconds: 7');
    await page.getByTestId('launch-confirm').click();
    await page.waitForURL(/\/jobs\/[0-9a-f-]{36}/);
    const id = idOf(page);
    await untilLines(page, 5);
    const early = await shown(page);
    const { status } = await getJob(id);
    expect(status, 'lines are there while it runs').toBe('RUNNING');
    expect(early!.final).toBe(false);
    await untilStatus(page, 'SUCCESSFUL');
    await untilFinal(page);

    const job = await over(id);
    const lines = await expectWhole(page, job);
    expect(lines.join('\n')).toContain('7 steps done');
    expect(lines.join('\n')).not.toMatch(/\u001b|\[0;3\dm/);
    expect(await page.locator('.out-text [class*="ansi-"]').count()).toBeGreaterThan(0);
    const plain = await page
      .locator('.out-text')
      .first()
      .evaluate((line) => getComputedStyle(line).color);
    const coloured = page.locator('.out-text .ansi-green-fg').first();
    expect(await coloured.evaluate((piece) => getComputedStyle(piece).color)).not.toBe(plain);

    await page.reload();
    await untilStatus(page, 'SUCCESSFUL');
    await untilFinal(page);
    expect(await expectWhole(page, job)).toEqual(lines);
  });

  it('is not launched with variables that cannot be read', async () => {
    tab = await openSignedIn(browser, '/templates');
    const { page } = tab;
    await page.locator('[data-testid="launch-button"][data-name="Demo Slow"]').click();
    await page.getByTestId('launch-variables').fill('seconds: [7');
    await page.getByRole('dialog').locator('.mantine-Textarea-error').waitFor();
    expect(await page.getByTestId('launch-confirm').isDisabled()).toBe(true);
  });

  it('is cancelled from the page, and keeps what it had printed', async () => {
    const id = await launch('Demo Slow', { extraVars: { seconds: 120 } });
    tab = await openSignedIn(browser, `/jobs/${id}`);
    const { page } = tab;
    await untilLines(page, 3);
    await page.getByTestId('cancel-button').click();
    await page.getByTestId('cancel-confirm').click();
    await untilStatus(page, 'CANCELED');
    await untilFinal(page);
    expect(await page.getByTestId('cancel-button').count()).toBe(0);
    await expectWhole(page, await over(id));
  });
});

describe("a finished job's page", () => {
  let job: Job;
  beforeAll(async () => {
    job = await over(await launch('Demo Job Template'));
  });

  it('tells the life of the job, from the request to the end', async () => {
    tab = await openSignedIn(browser, `/jobs/${job.id}`);
    const { page } = tab;
    await page.getByTestId('tab-timeline').click();
    await page.locator('[data-testid="timeline-entry"][data-type="job.finished"]').waitFor();
    const types = await page
      .getByTestId('timeline-entry')
      .evaluateAll((entries) => entries.map((entry) => entry.getAttribute('data-type')));
    expect(types).toEqual(job.timeline.map(({ type }) => type));
    expect(types[0]).toBe('job.requested');
    expect(types).toEqual(
      expect.arrayContaining(['job.pinned', 'job.pod_created', 'job.record_sealed', 'job.finished']),
    );
  });

  it('shows what it ran on, down to the digest, the commit and the hash of the inventory', async () => {
    tab = await openSignedIn(browser, `/jobs/${job.id}/details`);
    const details = tab.page.getByTestId('job-details');
    await details.waitFor();
    const text = await details.textContent();
    const pinned = job.pinned!;
    for (const hash of [
      pinned.image.digest,
      pinned.project.commit,
      pinned.inventory.sha256,
      job.record!.sha256,
    ])
      expect(text).toContain(hash.replace(/^sha256:/, '').slice(0, 8));
    expect(text).toContain('deployed_release');
  });

  it('counts each host, skipped and rescued too', async () => {
    tab = await openSignedIn(browser, `/jobs/${job.id}/hosts`);
    const table = tab.page.getByTestId('hosts-table');
    await table.waitFor();
    const heads = await table.locator('th').allTextContents();
    const rows = await table
      .locator('tbody tr')
      .evaluateAll((found) =>
        found.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent)),
      );
    const read = rows.map((cells) => ({
      host: cells[0],
      skipped: Number(cells[heads.indexOf('skipped')]),
      rescued: Number(cells[heads.indexOf('rescued')]),
    }));
    expect(read).toHaveLength(3);
    expect(read).toEqual(
      job.hostSummaries.nodes.map(({ host, skipped, rescued }) => ({ host, skipped, rescued })),
    );
    expect(read.every(({ skipped, rescued }) => skipped > 0 && rescued > 0)).toBe(true);
  });

  it('shows its tasks in time, and leads from a task to its events', async () => {
    tab = await openSignedIn(browser, `/jobs/${job.id}/tasks`);
    const { page } = tab;
    const table = page.getByTestId('tasks-table');
    const row = table.locator('tr[data-task="Start the new release"]');
    await row.waitFor();
    expect(await table.locator('tr[data-task]').count()).toBeGreaterThan(5);
    expect(await row.locator('.task-track .is-failed').count()).toBe(1);
    await row.getByRole('link').click();
    await page.getByTestId('events-task').filter({ hasText: 'Start the new release' }).waitFor();
    const rows = page.getByTestId('event-row');
    await rows.filter({ hasText: 'runner_on_failed' }).first().waitFor();
    expect(await rows.filter({ hasNotText: 'Start the new release' }).count()).toBe(0);
    await page.getByTestId('events-task').click();
    await page.getByTestId('events-text').fill('THE OLD ONE runs on');
    await page.waitForFunction(
      () => document.querySelectorAll('[data-testid="event-row"]').length === 3,
      undefined,
      { timeout: 20_000 },
    );
  });

  it('saves the output as a file, through the browser itself', async () => {
    tab = await openSignedIn(browser, `/jobs/${job.id}`);
    const { page } = tab;
    await page.getByTestId('download').click();
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('menuitem', { name: 'Output, plain text' }).click(),
    ]);
    expect(saved.suggestedFilename()).toBe(`job-${job.id}.txt`);
    const text = readFileSync(await saved.path(), 'utf8');
    expect(text.split('\n').slice(0, -1)).toEqual(await printed(job.id));
  });

  it('finds a word in the output', async () => {
    tab = await openSignedIn(browser, `/jobs/${job.id}`);
    const { page } = tab;
    await untilFinal(page);
    await page.getByTestId('output-search').fill('the old one runs on');
    await page.locator('.out-text mark').first().waitFor();
    const count = page.getByTestId('search-count');
    await count.filter({ hasText: /^1 of 3$/ }).waitFor();
    await page.getByRole('button', { name: 'Next match' }).click();
    await count.filter({ hasText: /^2 of 3$/ }).waitFor();
    for (let step = 0; step < 2; step++) await page.getByRole('button', { name: 'Previous match' }).click();
    await count.filter({ hasText: /^3 of 3$/ }).waitFor();
    await page.getByTestId('only-matches').click();
    await page.waitForFunction(
      () => document.querySelectorAll('[data-testid="job-output-line"]').length === 3,
    );
    await page.getByTestId('output-search').fill('nobody printed this');
    await count.filter({ hasText: 'No match' }).waitFor();
  });

  it('filters its events by result and more, and keeps that in the address', async () => {
    tab = await openSignedIn(browser, `/jobs/${job.id}/events?status=failed`);
    const { page } = tab;
    const rows = page.getByTestId('event-row');
    await rows.filter({ hasText: 'runner_on_failed' }).first().waitFor();
    expect(await rows.filter({ hasNotText: 'failed' }).count()).toBe(0);
    await page.locator('.events .mantine-MultiSelect-input').click();
    await page.getByRole('option', { name: 'skipped' }).click();
    await rows.filter({ hasText: 'runner_on_skipped' }).first().waitFor();
    expect(page.url()).toContain('status=failed%2Cskipped');
    await page.keyboard.press('Escape');
    await page.getByTestId('events-play').fill('no such play');
    await page.getByText('No event matches').waitFor();
    await page.reload();
    await page.getByText('No event matches').waitFor();
    expect(await page.getByTestId('events-play').inputValue()).toBe('no such play');
  });
});

describe('a job that fails', () => {
  it('shows the reason in words', async () => {
    const job = await over(await launch(await makeTemplate('no-such.yml')));
    tab = await openSignedIn(browser, `/jobs/${job.id}`);
    const reason = tab.page.getByTestId('job-reason');
    await reason.waitFor();
    expect(await reason.textContent()).toContain(job.reason!.message);
    expect(job.reason!.message).toContain('no-such.yml');
  });

  it('marks the lines where it failed', async () => {
    const job = await over(await launch('Demo Failing'));
    tab = await openSignedIn(browser, `/jobs/${job.id}`);
    await untilStatus(tab.page, 'FAILED');
    await untilFinal(tab.page);
    await tab.page.locator('.out-line.is-failed').first().waitFor();
    await expectWhole(tab.page, job);
  });
});

describe('a job whose pod is killed', () => {
  it('keeps what it had printed, and says under it that no final message came', async () => {
    const id = await launch('Demo Slow', { extraVars: { seconds: 120 } });
    tab = await openSignedIn(browser, `/jobs/${id}`);
    const { page } = tab;
    await untilLines(page, 3);
    engine('kill', ...containersOf(id));
    await untilStatus(page, 'ERROR');
    await untilFinal(page);
    const note = page.getByTestId('output-unfinished');
    await note.waitFor();
    expect(await note.textContent()).toContain('without a final message');
    await expectWhole(page, await over(id));
  });
});

describe('the list of jobs', () => {
  it('shows a job launched elsewhere as it is launched, runs and ends, without a reload', async () => {
    tab = await openSignedIn(browser, '/jobs');
    const { page } = tab;
    await page.locator('.live-mark.is-live').waitFor();
    const id = await launch('Demo Slow', { extraVars: { seconds: 3 } });
    const row = page.getByTestId('jobs-table').locator('tr', { hasText: id });
    // Sooner than the list is asked again by itself.
    await row.waitFor({ timeout: 15_000 });
    await row.locator('[data-status="RUNNING"]').waitFor({ timeout: 60_000 });
    await row.locator('[data-status="SUCCESSFUL"]').waitFor({ timeout: 60_000 });
    await over(id);
  });
});

describe('the Execution Environments', () => {
  it('are the four of the seed, for every organization, with the digest of the one that was run', async () => {
    await over(await launch('Demo Job Template'));
    const { executionEnvironments } = await ask<{
      executionEnvironments: { nodes: { name: string; image: string; digest: string | null }[] };
    }>('{ executionEnvironments { nodes { name image digest } } }');
    tab = await openSignedIn(browser, '/execution-environments');
    const table = tab.page.getByTestId('ee-table');
    await table.waitFor();
    const seeds = table.locator('tbody tr', { hasText: 'global' });
    expect(await seeds.count()).toBe(4);
    for (const { image } of executionEnvironments.nodes)
      expect(await table.getByText(image, { exact: true }).count()).toBeGreaterThan(0);
    const local = executionEnvironments.nodes.find(({ image }) => image.startsWith('localhost/gantry-ee'))!;
    expect(local.digest).toMatch(/^sha256:/);
    expect(await table.locator('tr', { hasText: local.image }).first().textContent()).toContain(
      local.digest!.replace(/^sha256:/, '').slice(0, 8),
    );

    await table.getByRole('link', { name: local.name }).click();
    const history = tab.page.getByTestId('digest-history');
    await history.waitFor();
    expect(await history.textContent()).toContain(local.digest!.replace(/^sha256:/, '').slice(0, 8));
    await tab.page.getByText('the default of this installation').waitFor();
  });
});

describe('a connection that breaks while a job is watched', () => {
  it('comes back by itself, with every line once (network away)', async () => {
    mayComplain = /ERR_INTERNET_DISCONNECTED|WebSocket|Failed to load resource/;
    const id = await launch('Demo Slow', { extraVars: { seconds: 10 } });
    tab = await openSignedIn(browser, `/jobs/${id}`);
    const { page, context } = tab;
    await untilLines(page, 4);
    await context.setOffline(true);
    const before = (await shown(page))!.lines;
    await over(id);
    await context.setOffline(false);
    await untilFinal(page);
    await untilStatus(page, 'SUCCESSFUL');
    const job = await getJob(id);
    expect(job.record!.lastLine).toBeGreaterThan(before);
    await expectWhole(page, job);
  });

  it('comes back by itself, with every line once (gateway killed)', async () => {
    mayComplain = /ERR_CONNECTION|WebSocket|Failed to load resource/;
    const id = await launch('Demo Slow', { extraVars: { seconds: 10 } });
    tab = await openSignedIn(browser, `/jobs/${id}`);
    const { page } = tab;
    await untilLines(page, 4);
    process.kill(pidOf('gateway'), 'SIGKILL');
    const job = await over(id);
    await untilFinal(page);
    await untilStatus(page, 'SUCCESSFUL');
    await expectWhole(page, job);
  });
});

describe('the page on a phone', () => {
  it.each(['/jobs', '/templates', '/execution-environments'])('%s is not wider than it', async (path) => {
    tab = await openSignedIn(browser, path);
    const { page } = tab;
    await page.setViewportSize({ width: 375, height: 720 });
    await page.locator('table').first().waitFor();
    // Once it has settled: what hides on a narrow screen may still be moving out.
    await page.waitForFunction(() => document.documentElement.scrollWidth <= 375);
  });
});

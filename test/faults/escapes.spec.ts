/** F16: a playbook that speaks to the terminal of whoever looks at its output. The raw record keeps what it said; nobody else obeys. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser } from 'playwright-core';
import { ask, gantry, launch, over, type Job } from '../e2e/api.js';
import { openSignedIn, readOutput, startBrowser, untilFinal } from '../e2e/browser.js';
import { makeTemplate } from '../e2e/objects.js';
import { expectWhole, toldOf } from './oracle.js';
import { makeProject } from './project.js';
import { watch } from './watcher.js';

/** What it tries, each before a word that must be readable and after one that must not be hidden. */
const tricks = {
  clipboard: '\\e]52;c;cm0gLXJmIC8K\\a',
  'unfinished clipboard': '\\e]52;c;cm0gLXJm',
  link: '\\e]8;;https://example.invalid/\\e\\\\here\\e]8;;\\e\\\\',
  title: '\\e]0;root shell\\a',
  'cursor up': '\\e[1A\\e[2K',
  'carriage return': 'hidden\\rshown',
  'c1 string': '\\x9d0;title\\x9c',
  'c1 sequence': '\\x9b2J',
  hidden: '\\e[8m',
  reordered: 'a\\u202eb',
};

let job: Job;
beforeAll(async () => {
  const tasks = Object.entries(tricks).map(
    ([name, trick]) =>
      `    - name: "before ${name} ${trick} after"\n      debug: {msg: ok}\n      run_once: true\n`,
  );
  const projectId = await makeProject({
    'site.yml': `- hosts: all\n  gather_facts: false\n  tasks:\n${tasks.join('')}    - name: the end\n      debug: {msg: ok}\n      run_once: true\n`,
  });
  const id = await launch(await makeTemplate('site.yml', { projectId }));
  const watcher = watch(id);
  job = await over(id);
  expect(job.status, job.reason?.message).toBe('SUCCESSFUL');
  const stored = await expectWhole(toldOf(job), await watcher.done);
  // It did say so: otherwise nothing below proves anything.
  const said = stored.map((line) => (JSON.parse(line.toString()) as { stdout: string }).stdout).join('\n');
  for (const sequence of ['\u001b]52;c;', '\u001b]0;root', '\u001b[1A', 'hidden\r'])
    expect(said).toContain(sequence);
});

const read = async (format: 'ANSI' | 'PLAIN' | 'HTML'): Promise<string> =>
  (
    await ask<{ job: { stdout: { text: string } } }>(
      'query ($id: ID!, $format: OutputFormat) { job(id: $id) { stdout(format: $format) { text } } }',
      { id: job.id, format },
    )
  ).job.stdout.text;

/** Controls that a terminal obeys, but line feeds and tabs; and what reorders text. */
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
const COLOURS = /\u001b\[[0-9;]*m/g;

describe('output that speaks to the terminal', () => {
  it('is kept as it was said', async () => {
    expect(await read('ANSI')).toContain('\u001b]52;c;cm0gLXJmIC8K\u0007');
  });

  it('is plain text in PLAIN, and nothing but spans in HTML', async () => {
    const plain = await read('PLAIN');
    expect(plain).not.toMatch(OBEYED);
    for (const name of Object.keys(tricks)) expect(plain).toContain(`before ${name}`);
    expect(plain).toContain('hidden');
    const html = await read('HTML');
    expect(html).not.toMatch(OBEYED);
    expect(html.replace(/<\/?span[^>]*>/g, '')).not.toMatch(/[<>]/);
    expect(html).not.toMatch(/href|javascript|style=/);
  });

  it('is found by the words that are read in it, and by nothing that was only said to a terminal', async () => {
    const found = async (text: string): Promise<number> =>
      (
        await ask<{ job: { events: { nodes: { counter: number }[] } } }>(
          'query ($id: ID!, $text: String!) { job(id: $id) { events(filter: { text: $text }) { nodes { counter } } } }',
          { id: job.id, text },
        )
      ).job.events.nodes.length;
    expect(await found('before title  after')).toBe(1);
    expect(await found('root shell')).toBe(0);
  });

  it('does nothing to the terminal of the command line', () => {
    for (const args of [
      ['job', job.id, '--stdout'],
      ['job', job.id, '--follow'],
    ]) {
      const { stdout, stderr } = gantry(...args);
      expect(`${stdout}${stderr}`.replace(COLOURS, '')).not.toMatch(OBEYED);
      expect(stdout).toContain('the end');
      expect(stdout).toContain('hidden');
    }
  });
});

describe('output that speaks to the terminal, on the page', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser?.close());

  it('is text in colours', async () => {
    const { page, context, complaints } = await openSignedIn(browser, `/jobs/${job.id}`);
    await untilFinal(page);
    const lines = (await readOutput(page)).join('\n');
    expect(lines).not.toMatch(OBEYED);
    expect(lines).toContain('the end');
    expect(lines).toContain('hidden');
    expect(await page.title()).not.toContain('root shell');
    expect(await page.locator('.out-text a, .out-text script').count()).toBe(0);
    expect(complaints).toEqual([]);
    await context.close();
  });
});

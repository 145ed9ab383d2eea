/** `gantry test`: everything that says whether the product is whole. Prints `N passed, N failed` last. */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { homePath, ROOT, writeAtomically } from './home.js';
import { exitCodes, paint, print } from './terminal.js';

/** Checks that are one command each; the suites are vitest's projects. */
const checks: Record<string, string[]> = {
  format: ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'],
  lint: ['node_modules/eslint/bin/eslint.js', '.'],
  types: ['node_modules/typescript7/bin/tsc', '-p', 'tsconfig.spec.json'],
};
const suites = ['unit', 'integration', 'walls', 'contract', 'e2e', 'faults'];

interface Outcome {
  passed: number;
  failed: number;
  /** A line each of what failed and why, to be read at the end: the place where it failed is far up by then. */
  failures: string[];
}

/** What vitest's JSON reporter writes; the part read here. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  /** Skipped. */
  numPendingTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] | null }[];
  }[];
}

/** Runs all checks and suites, or the named ones. */
export const testCommand = async (names: string[]): Promise<number> => {
  const known = [...Object.keys(checks), ...suites];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    print(`There is no ${unknown.join(', ')}: choose among ${known.join(', ')}.`);
    return exitCodes.usage;
  }
  const chosen = names.length > 0 ? names : known;
  // The import walls read Nx's project graph from its cache and are silent where there is none.
  if (chosen.includes('lint')) await node(['node_modules/nx/dist/bin/nx.js', 'show', 'projects', '--json']);
  const total: Outcome = { passed: 0, failed: 0, failures: [] };
  for (const name of known.filter((each) => chosen.includes(each))) {
    print(`\n${paint.bold(`== ${name}`)}`);
    const outcome = checks[name] ? await runCheck(name, checks[name]) : await runSuite(name);
    total.passed += outcome.passed;
    total.failed += outcome.failed;
    total.failures.push(...outcome.failures);
  }
  if (total.failures.length > 0) print(`\n${paint.bold('== failed')}\n${total.failures.join('\n')}`);
  writeAtomically(homePath('run', 'tests-counted'), '');
  print(`\n${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 && total.passed > 0 ? exitCodes.ok : exitCodes.failed;
};

const runCheck = async (name: string, args: string[]): Promise<Outcome> =>
  (await node(args)) === 0
    ? { passed: 1, failed: 0, failures: [] }
    : { passed: 0, failed: 1, failures: [`${name}: see above`] };

/** A suite that ends without having run a test has failed. */
const runSuite = async (name: string): Promise<Outcome> => {
  const file = homePath('run', `test-${name}.json`);
  rmSync(file, { force: true });
  const code = await node([
    'node_modules/vitest/vitest.mjs',
    'run',
    '--project',
    name,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ]);
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
    const failures = failuresOf(report).map((line) => `${name}: ${line}`);
    // Some specs leave out what a machine lacks, for people who run them alone; here everything is set up, and all must run.
    const failed = Math.max(report.numFailedTests + report.numPendingTests, code === 0 ? 0 : 1);
    if (failed > 0 && failures.length === 0) failures.push(`${name}: ended with exit code ${code}`);
    if (report.numPassedTests + failed === 0)
      return { passed: 0, failed: 1, failures: [`${name}: no test ran`] };
    return { passed: report.numPassedTests, failed, failures };
  } catch {
    return { passed: 0, failed: 1, failures: [`${name}: ended with exit code ${code} and left no report`] };
  }
};

/** `file > test: the first line of its error`; of a file that failed before its tests ran, the file's. */
const failuresOf = (report: Report): string[] =>
  report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(ROOT, name);
    const skipped = assertionResults.filter((test) => test.status === 'skipped');
    const failed = assertionResults.filter((test) => test.status === 'failed');
    const why = skipped.length > 0 ? [`${file}: ${skipped.length} tests did not run`] : [];
    if (failed.length === 0 && status === 'failed') return [`${file}: ${firstLine(message)}`, ...why];
    return [
      ...failed.map((test) => `${file} > ${test.fullName}: ${firstLine(test.failureMessages?.[0] ?? '')}`),
      ...why,
    ];
  });

const firstLine = (text: string): string =>
  stripVTControlCharacters(text).trim().split('\n')[0]!.slice(0, 300);

const node = (args: string[]): Promise<number> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [join(ROOT, args[0]!), ...args.slice(1)], {
      cwd: ROOT,
      stdio: 'inherit',
    });
    child.once('close', (code) => resolve(code ?? 1));
  });

/** `gantry test`: everything that says whether the product is whole. Prints `N passed, N failed` last. */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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
  const total: Outcome = { passed: 0, failed: 0 };
  for (const name of known.filter((each) => chosen.includes(each))) {
    print(`\n${paint.bold(`== ${name}`)}`);
    const outcome = checks[name] ? await runCheck(checks[name]) : await runSuite(name);
    total.passed += outcome.passed;
    total.failed += outcome.failed;
  }
  writeAtomically(homePath('run', 'tests-counted'), '');
  print(`\n${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 && total.passed > 0 ? exitCodes.ok : exitCodes.failed;
};

const runCheck = async (args: string[]): Promise<Outcome> =>
  (await node(args)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };

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
    const report = JSON.parse(readFileSync(file, 'utf8')) as {
      numPassedTests: number;
      numFailedTests: number;
      numFailedTestSuites: number;
    };
    const failed = Math.max(report.numFailedTests, code === 0 ? 0 : 1);
    return { passed: report.numPassedTests, failed: report.numPassedTests + failed === 0 ? 1 : failed };
  } catch {
    return { passed: 0, failed: 1 };
  }
};

const node = (args: string[]): Promise<number> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [join(ROOT, args[0]!), ...args.slice(1)], {
      cwd: ROOT,
      stdio: 'inherit',
    });
    child.once('close', (code) => resolve(code ?? 1));
  });

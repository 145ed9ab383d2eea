/**
 * The start of every `./gantry` command: bring the machine and this checkout to what the command needs, then hand over
 * to the compiled command line. Runs on a fresh clone, so nothing but Node's own modules may be imported from here.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { doctor } from './doctor.mjs';
import { HELP } from './help.mjs';
import { ROOT } from './home.mjs';
import { AFTER, planFor, runSteps } from './plan.mjs';
import { elapsed, Progress } from './progress.mjs';
import { SetupError, stopRunning, tail } from './run.mjs';
import { Setup } from './steps.mjs';

/**
 * Tell why set-up stopped, with the end of the log that has the details.
 * @param {unknown} error
 * @param {Progress} progress
 * @returns {number} exit code
 */
function explain(error, progress) {
  if (!(error instanceof SetupError)) throw error;
  const words = [error.message];
  if (error.log) {
    const last = tail(error.log);
    if (last)
      words.push('', ...last.split('\n').map((line) => `   | ${line}`), '', `All of it: ${error.log}`);
  }
  progress.say(`\n${words.join('\n')}`);
  return error.exitCode;
}

/**
 * @param {string[]} args
 * @returns {Promise<number | undefined>} an exit code if the command ends here
 */
async function main(args) {
  const plan = planFor(args);
  const compiled = join(ROOT, 'apps/cli/dist/main.js');
  // One command's own help is the compiled program's, when there is one; nothing is installed or built to show help.
  const ofCommand = args.some((arg) => !arg.startsWith('-') && arg !== 'help');
  if (plan.own === 'help' && !(ofCommand && existsSync(compiled) && existsSync(join(ROOT, 'node_modules')))) {
    process.stdout.write(HELP);
    return 0;
  }
  if (plan.own === 'usage') {
    process.stderr.write(`gantry: there is no ${args[0]}: ./gantry --help shows what there is\n`);
    return 2;
  }
  if (plan.own === 'doctor') return doctor(args);
  const progress = new Progress();
  const since = Date.now();
  let interrupted = false;
  const interrupt = () => {
    if (interrupted) return;
    interrupted = true;
    progress.say('Stopping. A package manager at work is let finish; what is done stays for the next time.');
    stopRunning();
  };
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  for (const name of signals) process.on(name, interrupt);
  try {
    const setup = new Setup(progress, { tests: plan.steps.includes('sshd') });
    await runSteps(plan.steps, AFTER, (step) => setup.perform(step), stopRunning);
    if (interrupted) return 130;
  } catch (error) {
    if (interrupted) return 130;
    return explain(error, progress);
  }
  for (const name of signals) process.off(name, interrupt);
  if (progress.spoke) progress.say(`Set-up took ${elapsed(Date.now() - since)}`);
  if (!existsSync(compiled)) {
    progress.say(`The build left no ${compiled}: see .gantry/log/setup-build.log`);
    return 1;
  }
  await import(pathToFileURL(compiled).href);
  return undefined;
}

const code = await main(process.argv.slice(2));
if (code !== undefined) process.exitCode = code;

/** `gantry`: the command line. ./gantry prepares the machine (apps/cli/setup) and then runs this. */
import { Command, InvalidArgumentError } from 'commander';
import { PlatformError } from '@gantry/contracts/errors';
import { benchCommand, benchHelp } from './bench.command.js';
import { addEeCommands } from './ee.command.js';
import { exportCommand } from './export.command.js';
import { cancelCommand, jobCommand, jobsCommand, launchCommand } from './jobs.command.js';
import {
  demoCommand,
  downCommand,
  resetCommand,
  statusCommand,
  superviseCommand,
  tokenCommand,
  upCommand,
} from './machine.command.js';
import { migrateCommand, secretsCommand } from './migrate.command.js';
import { relaunchCommand } from './relaunch.command.js';
import { retentionCommand } from './retention.command.js';
import { replayCommand } from './replay.command.js';
import { exitCodes, report } from './terminal.js';
import { testCommand } from './test.command.js';
import { verifyCommand } from './verify.command.js';

const program = new Command('gantry')
  .description('Runs Ansible jobs: each in a pod of its own, with a complete, live and verifiable record.')
  // Said before the commands are made: each takes it over when it is made.
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : exitCodes.usage))
  .showHelpAfterError('(--help shows how it is used)')
  .helpOption('-h, --help', 'show this')
  .addHelpText(
    'after',
    `
Exit codes: 0 done (a followed job: successful) · 1 failed (the job, or something unforeseen) · 2 wrong usage · 3 something is not
installed · 4 refused (no such thing, not allowed, not possible now) · 5 Gantry does not answer · 6 the followed job was canceled ·
130 stopped by Ctrl-C (a job that was followed goes on)

Environment: GANTRY_HOME where the installation lies (.gantry) · GANTRY_URL, GANTRY_TOKEN another Gantry to talk to · GANTRY_PORT the
page's port · GANTRY_POSTGRES_URL, GANTRY_NATS_URL servers of your own · GANTRY_PROCESSES=separate a process per service`,
  );

/** Runs a command and makes its answer the exit code. */
const run =
  <A extends unknown[]>(command: (...args: A) => Promise<number>) =>
  async (...args: A): Promise<void> => {
    process.exitCode = await command(...args).catch(report);
  };
const count = (value: string): number => {
  if (!/^[1-9]\d{0,3}$/.test(value)) throw new InvalidArgumentError('Give a number from 1 to 9999.');
  return Number(value);
};
const speed = (value: string): number => {
  const number = Number(value);
  if (!(number > 0 && number <= 1e6))
    throw new InvalidArgumentError('Give a number above 0: 2 is twice as fast.');
  return number;
};
const counter = (value: string): number => {
  if (!/^[1-9]\d{0,8}$/.test(value))
    throw new InvalidArgumentError('Give the counter of an event: 1, 2, ...');
  return Number(value);
};
const repeat = (value: string, before: string[] = []) => [...before, value];

program
  .command('demo')
  .description('start everything, run the demo job and follow it')
  .option('--no-keep', 'stop everything afterwards')
  .action(run(demoCommand));
program
  .command('up')
  .description('start everything')
  .option('-d, --detach', 'leave it running')
  .option('--json')
  .action(run(upCommand));
program
  .command('down')
  .description('stop everything; running jobs go on when it starts again')
  .action(run(downCommand));
program.command('status').description('what runs, and where').option('--json').action(run(statusCommand));
program
  .command('reset')
  .description('wipe the data of this installation')
  .option('-y, --yes', 'do not ask')
  .action(run(resetCommand));
program
  .command('launch <job-template>')
  .description('launch a job by the name or id of its template')
  .option('-e, --extra-vars <NAME=VALUE or YAML>', 'extra variables, as ansible-playbook takes them', repeat)
  .option('-l, --limit <pattern>', 'only these hosts')
  .option('-f, --follow', 'show the output until the job is over')
  .option('--json')
  .action(run(launchCommand));
program
  .command('jobs')
  .description('the latest jobs')
  .option('--first <n>', 'how many', count, 20)
  .option('--json')
  .action(run(jobsCommand));
program
  .command('job <id>')
  .description('one job')
  .option('--stdout', 'its output')
  .option('--events', 'its events')
  .option('--timeline', 'its life')
  .option('-f, --follow', 'its output until it is over')
  .option('--json')
  .action(run(jobCommand));
program
  .command('relaunch <job>')
  .description(
    'run a past job again: exactly (same image digest, commit, inventory, settings), or as its template is now',
  )
  .option('--exact', 'on exactly what it ran on (the default)')
  .option('--current', "the template as it is now, with the past job's prompts")
  .option('--failed-hosts', 'only on the hosts that failed or could not be reached')
  .option('-e, --extra-vars <NAME=VALUE or YAML>', 'extra variables over those of the past job', repeat)
  .option('-l, --limit <pattern>', 'only these hosts')
  .option('--plan', 'only say what is identical, changed or missing')
  .option('--accept', 'start although something has changed (a credential that was rotated)')
  .option('-f, --follow', 'show the output until the job is over')
  .option('--json')
  .action(run(relaunchCommand));
program
  .command('cancel <id>')
  .description('ask a job to end')
  .option('--force', 'destroy its pod at once')
  .option('--json')
  .action(run(cancelCommand));
addEeCommands(program, run);
program
  .command('retention')
  .description('how long output is kept, what it takes on disk, and what would go when')
  .option('--json')
  .action(run(retentionCommand));
program
  .command('verify <job-or-file>')
  .description('check a record against its hash chain and seal: a job here, or an exported file offline')
  .option('--json')
  .addHelpText(
    'after',
    '\nExit codes: 0 intact · 1 damaged; every finding names what, where, and what was expected.',
  )
  .action(run(verifyCommand));
program
  .command('export <job>')
  .description('write the archive of a job that is over: self-contained, checkable offline')
  .option('-o, --output <file>', 'where to (gantry-job-<id>.tar)')
  .option('--json')
  .action(run(exportCommand));
program
  .command('replay <job-or-file>')
  .description('show the output again as it came; pauses of more than 2 seconds are shortened')
  .option('--speed <n>', '2 is twice as fast', speed, 1)
  .option('--from <counter>', 'begin with this event', counter, 1)
  .action(run(replayCommand));
program.command('token').description('print the token of this installation').action(run(tokenCommand));
program
  .command('test [suites...]')
  .description('lint, types and all tests: unit integration walls contract e2e')
  .action(run(testCommand));
program
  .command('bench [cases...]')
  .description('measure the budgets of docs/BUDGETS.md, on a Gantry of its own')
  .option('--json', 'an array of cases, for programs')
  .option('--markdown', 'tables for docs/')
  .option('--size <full|tiny>', 'tiny: only shows that it works')
  .addHelpText('after', benchHelp)
  .action(run(benchCommand));
program.command('doctor').description('what is missing on this machine, and how to get it');
program
  .command('migrate', { hidden: true })
  .description('bring the database of GANTRY_POSTGRES_URL up to date')
  .action(run(migrateCommand));
program.command('secrets', { hidden: true }).requiredOption('--directory <path>').action(run(secretsCommand));
program.command('supervise', { hidden: true }).action(run(superviseCommand));

process.on('SIGPIPE', () => undefined);
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error instanceof Error ? error : new PlatformError('defect', String(error)));
}

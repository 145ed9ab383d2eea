/** up, down, status, reset, token and demo: this machine's installation. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';
import { PlatformError } from '@gantry/contracts/errors';
import { findEndpoint } from './client.js';
import { followToEnd, launch } from './jobs.command.js';
import { HOME, homePath, readMachine, TOKEN_FILE } from './home.js';
import { DEMO_TEMPLATE, seedDemo } from './seed.js';
import { readState, readStatus } from './state.js';
import { startAll } from './supervisor.js';
import { exitCodes, paint, print, printJson, status, step, table } from './terminal.js';

/** `gantry up`: until Ctrl-C, or `--detach`ed. Up already is fine. */
export const upCommand = async (options: { detach?: boolean; json?: boolean }): Promise<number> => {
  if (readState()) {
    await printUp(options.json);
    return exitCodes.ok;
  }
  if (options.detach) {
    await startDetached();
    await printUp(options.json);
    return exitCodes.ok;
  }
  const asked = stopSignal();
  const supervisor = await startAll(step, asked);
  try {
    await step('demo objects', seedHere);
    await printUp(options.json);
    print(paint.dim('Ctrl-C stops it.'));
    await aborted(asked);
  } finally {
    await step('stop', () => supervisor.stop());
  }
  return exitCodes.ok;
};

/** The detached supervisor's own command, not for people. */
export const superviseCommand = async (): Promise<number> => {
  const asked = stopSignal();
  const supervisor = await startAll(async (_, run) => run(), asked);
  try {
    await seedHere();
    // Whoever started us may have gone meanwhile: we run on without.
    if (process.connected) process.send?.('ready', () => process.connected && process.disconnect());
    await aborted(asked);
  } finally {
    await supervisor.stop();
  }
  return exitCodes.ok;
};

const seedHere = async (): Promise<void> => {
  const state = readState()!;
  await seedDemo(findEndpoint(), state.ports['git']!);
};

/** Fires at Ctrl-C or SIGTERM. */
const stopSignal = (): AbortSignal => {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => controller.abort());
  return controller.signal;
};

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
  );

/** Starts a supervisor of its own and waits until everything serves. Throws `unavailable` with what it said. */
const startDetached = (): Promise<void> =>
  step('start', async () => {
    mkdirSync(homePath('log'), { recursive: true });
    const file = homePath('log', 'supervisor.log');
    rmSync(file, { force: true });
    const log = openSync(file, 'a', 0o600);
    const main = fileURLToPath(new URL('./main.js', import.meta.url));
    const child = spawn(process.execPath, [main, 'supervise'], {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      cwd: '/',
    });
    closeSync(log);
    let interrupted = false;
    const interrupt = () => {
      interrupted = true;
      child.kill('SIGTERM');
    };
    process.on('SIGINT', interrupt);
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('exit', () => {
        if (interrupted) process.exit(exitCodes.interrupted);
        reject(
          new PlatformError(
            'unavailable',
            `Gantry did not start:\n${readFileSync(file, 'utf8').trim().split('\n').slice(-12).join('\n')}`,
          ),
        );
      });
    });
    process.off('SIGINT', interrupt);
    child.disconnect();
    child.unref();
  });

const printUp = async (json = false): Promise<void> => {
  const found = await readStatus();
  if (json) return printJson(found);
  print(`\n${paint.green('Gantry is up.')}`);
  print(`  page     ${paint.bold(found.web!)}`);
  print(`  GraphQL  ${found.graphql}`);
  print(
    `  log in   with the token that ./gantry token prints (it lies in ${found.tokenFile}, readable by you alone)`,
  );
};

/** `gantry down`. Idempotent. */
export const downCommand = async (): Promise<number> => {
  const state = readState();
  if (!state) {
    print('Gantry does not run.');
    return exitCodes.ok;
  }
  await step('stop', async () => {
    process.kill(state.pid, 'SIGTERM');
    for (let waited = 0; readState(); waited += 50) {
      if (waited > 60_000)
        throw new PlatformError(
          'unavailable',
          `The supervisor (process ${state.pid}) does not end: see ${homePath('log')}.`,
        );
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
  return exitCodes.ok;
};

/** `gantry status`: exit code 0 if everything is ready. */
export const statusCommand = async (options: { json?: boolean }): Promise<number> => {
  const found = await readStatus();
  const fine = found.running && Object.values(found.services).every((service) => service.state === 'ready');
  const code = fine ? exitCodes.ok : exitCodes.unavailable;
  if (options.json) return (printJson(found), code);
  if (!found.running && found.supervisor) return (print('Gantry is starting: ask again in a moment.'), code);
  if (!found.running)
    return (print(`Gantry does not run. Start it: ./gantry up\n  home  ${found.home}`), code);
  print(
    `${paint.bold('page')}     ${found.web}\n${paint.bold('GraphQL')}  ${found.graphql}\n${paint.bold('pods')}     ${found.pods}\n${paint.bold('home')}     ${found.home}\n`,
  );
  const parts = Object.entries(found.parts).map(([name, part]) => [
    name,
    status(part.state),
    String(part.pid ?? ''),
    part.restarts ? `${part.restarts} restarts` : '',
  ]);
  const services = Object.entries(found.services).map(([name, service]) => [
    name,
    status(service.state),
    String(service.pid ?? ''),
    service.health,
  ]);
  print(table(['service', 'state', 'process', ''], services));
  for (const [name, { checks }] of Object.entries(found.services))
    for (const [check, said] of Object.entries(checks?.checks ?? {}))
      if (said !== 'ok') print(`${name}, ${check}: ${said}`);
  print(`\n${table(['part', 'state', 'process', ''], parts)}`);
  return code;
};

/** `gantry token`. Throws `not_found` before the first start. */
export const tokenCommand = async (): Promise<number> => {
  if (!existsSync(TOKEN_FILE))
    throw new PlatformError('not_found', 'There is no token yet: the first ./gantry up makes it.');
  print(readFileSync(TOKEN_FILE, 'utf8').trim());
  return exitCodes.ok;
};

/** `gantry reset`: asks first, stops everything, wipes this installation's data. The image and what was installed stay. */
export const resetCommand = async (options: { yes?: boolean }): Promise<number> => {
  if (!options.yes) {
    if (!process.stdin.isTTY)
      throw new PlatformError(
        'refused',
        'This wipes all jobs, projects and credentials of this installation: say --yes to mean it.',
      );
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    const answer = await terminal.question(
      `This wipes all jobs, projects and credentials in ${HOME}. Type "wipe" to go on: `,
    );
    terminal.close();
    if (answer.trim() !== 'wipe') return (print('Nothing was wiped.'), exitCodes.refused);
  }
  await downCommand();
  const data = ['postgres', 'nats', 'git', 'data', 'secrets', 'run', 'log', 'token', 'ports.json'].map(
    (name) => homePath(name),
  );
  const elsewhere = existsSync(homePath('machine.json')) ? readMachine().postgres?.dataDir : undefined;
  for (const path of [...data, ...(elsewhere ? [elsewhere] : [])])
    rmSync(path, { recursive: true, force: true });
  print('Wiped. The next ./gantry up starts afresh.');
  return exitCodes.ok;
};

/** `gantry demo`: up (if it is not), launch the demo job, follow it. 0 only if the job was successful. */
export const demoCommand = async (options: { keep?: boolean }): Promise<number> => {
  if (!readState()) await startDetached();
  const endpoint = findEndpoint();
  await step('demo objects', seedHere);
  print(`\n${paint.bold(DEMO_TEMPLATE)}\n`);
  const id = await launch(endpoint, DEMO_TEMPLATE, {});
  const code = await followToEnd(endpoint, id);
  await printUp();
  print(`  the job  ./gantry job ${id}   (--timeline, --events, --stdout)`);
  print(`  stop     ./gantry down`);
  return options.keep === false ? (await downCommand(), code) : code;
};

/** Running long commands: their output goes to a log, and the log's tail into the error when they fail. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Why set-up stopped, in words for the person at the terminal. `exitCode` is the command's own. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {{ exitCode?: number, log?: string }} [more] log: the file that has the details
   */
  constructor(message, more = {}) {
    super(message);
    this.name = 'SetupError';
    this.exitCode = more.exitCode ?? 1;
    this.log = more.log;
  }
}

/** A command was ended, or not begun, because another step failed (that one has the reason) or the person stopped it all. */
export class Stopped extends SetupError {
  constructor() {
    super('stopped');
  }
}

/**
 * The last lines of a log file.
 * @param {string} file
 * @param {number} [lines]
 */
export function tail(file, lines = 20) {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}

/** @type {Set<import('node:child_process').ChildProcess>} */
const stoppable = new Set();
/** @type {WeakSet<import('node:child_process').ChildProcess>} */
const stopped = new WeakSet();

let halted = false;

/** End the commands that run and may be ended; they then fail on their own, and no other begins. */
export function stopRunning() {
  halted = true;
  for (const child of stoppable) {
    stopped.add(child);
    child.kill('SIGTERM');
    // npm takes its time over a polite word, and the person at the terminal waits for the reason.
    setTimeout(() => child.kill('SIGKILL'), 2_000).unref();
  }
}

/**
 * Run a command to its end, with what it prints appended to `log`.
 * @param {string} program
 * @param {string[]} args
 * @param {object} options
 * @param {string} options.log        file that takes stdout and stderr
 * @param {string} [options.cwd]
 * @param {Record<string, string | undefined>} [options.env]  added to our own environment
 * @param {(line: string) => void} [options.onLine]  sees each line as it comes
 * @param {boolean} [options.keep]    never stop it half-way (a package manager)
 * @returns {Promise<void>} rejects with a SetupError that names the command and the log
 */
export function run(program, args, { log, cwd, env, onLine, keep }) {
  if (halted) return Promise.reject(new Stopped());
  mkdirSync(dirname(log), { recursive: true });
  const file = openSync(log, 'a');
  writeSync(file, `\n$ ${[program, ...args].join(' ')}\n`);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (!keep) stoppable.add(child);
    let rest = '';
    const take = (/** @type {Buffer} */ data) => {
      writeSync(file, data);
      if (!onLine) return;
      const lines = (rest + data.toString('utf8')).split(/[\r\n]+/);
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.trim()) onLine(line.trim());
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => {
      reject(new SetupError(`${program} could not be started: ${error.message}`, { log }));
    });
    child.on('close', (code, signal) => {
      stoppable.delete(child);
      closeSync(file);
      if (code === 0) resolve();
      else if (stopped.has(child)) reject(new Stopped());
      else
        reject(
          new SetupError(`${program} ${args[0] ?? ''} ended with ${signal ?? `exit code ${code}`}`, { log }),
        );
    });
  });
}

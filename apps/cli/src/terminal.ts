/** What people see in a terminal: colours only where there is one, progress of anything long, errors with what to do. */
import { isPlatformError, type ErrorCode } from '@gantry/contracts/errors';
import { keepColours, plainText } from '@gantry/contracts/terminal-text';
import Table from 'cli-table3';
import colors from 'picocolors';

const onTerminal = Boolean(process.stdout.isTTY) && !process.env['NO_COLOR'];
/** Colours, or none: decided by standard output. */
export const paint = colors.createColors(onTerminal);

/** Exit codes, as `gantry --help` documents them. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  missing: 3,
  refused: 4,
  unavailable: 5,
  canceled: 6,
  interrupted: 130,
} as const;

const exitOf: Record<ErrorCode, number> = {
  invalid: exitCodes.usage,
  refused: exitCodes.refused,
  unauthenticated: exitCodes.refused,
  forbidden: exitCodes.refused,
  not_found: exitCodes.refused,
  conflict: exitCodes.refused,
  unavailable: exitCodes.unavailable,
  cancelled: exitCodes.canceled,
  defect: exitCodes.failed,
};

/** Prints an error for a person and gives the exit code. A stack only with GANTRY_DEBUG=1. */
export const report = (error: unknown): number => {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${colors.createColors(Boolean(process.stderr.isTTY)).red('gantry:')} ${message}\n`);
  if (process.env['GANTRY_DEBUG'])
    process.stderr.write(`${(error as Error).stack ?? ''}\n${String((error as Error).cause ?? '')}\n`);
  return isPlatformError(error) ? exitOf[error.code] : exitCodes.failed;
};

const paintStatus: Record<string, (text: string) => string> = {
  SUCCESSFUL: paint.green,
  FAILED: paint.red,
  ERROR: paint.red,
  CANCELED: paint.yellow,
  RUNNING: paint.cyan,
  WAITING: paint.yellow,
  PENDING: paint.yellow,
  ready: paint.green,
  running: paint.green,
};

/** A status in its colour, in lower case as Ansible says it. */
export const status = (value: string): string =>
  (paintStatus[value] ?? ((text: string) => text))(value.toLowerCase());

/** A plain table: a header and rows. */
export const table = (head: string[], rows: string[][]): string => {
  const none = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: '  ',
  };
  const drawn = new Table({
    chars: none,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  drawn.push(
    head.map((title) => paint.bold(title)),
    ...rows,
  );
  return drawn.toString();
};

/** Prints a value as JSON, for scripts. */
export const printJson = (value: unknown): void =>
  void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);

/** Prints a line. */
export const print = (line = ''): void => void process.stdout.write(`${line}\n`);

/** Runs a step and says how long it took; on standard error, so that output stays clean. */
export const step = async (name: string, run: () => Promise<void>): Promise<void> => {
  const started = performance.now();
  const terminal = Boolean(process.stderr.isTTY);
  if (terminal) process.stderr.write(`  … ${name}`);
  try {
    await run();
  } catch (error) {
    process.stderr.write(`${terminal ? '\r' : ''}  ${colors.createColors(terminal).red('✗')} ${name}\n`);
    throw error;
  }
  const elapsed = ((performance.now() - started) / 1_000).toFixed(1);
  process.stderr.write(
    `${terminal ? '\r\u001b[K' : ''}  ${colors.createColors(terminal).green('✓')} ${name} ${colors.createColors(terminal).dim(`${elapsed} s`)}\n`,
  );
};

/** A job's output without anything but colours, and without those where there is no terminal: a playbook shall not move the cursor of who watches it. */
export const safeOutput = (text: string, colour = onTerminal): string =>
  text
    .split('\n')
    .map(colour ? keepColours : plainText)
    .join('\n');

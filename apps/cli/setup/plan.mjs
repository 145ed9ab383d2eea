/** What each command needs before it can run, and running that with as much at once as the steps allow. */

/** @typedef {'packages' | 'npm' | 'build' | 'nats' | 'ee' | 'engine' | 'postgres' | 'sshd' | 'dockerRegistry' | 'machine'} StepName */

/** Which steps must be done before a step. */
export const AFTER = /** @type {const} */ ({
  packages: [],
  npm: [],
  build: ['npm'],
  nats: ['packages'],
  ee: ['packages'],
  engine: ['ee'],
  postgres: ['npm'],
  sshd: ['engine'],
  dockerRegistry: ['packages'],
  machine: ['nats', 'engine', 'postgres', 'packages'],
});

/** @type {StepName[]} */
const CODE = ['npm', 'build'];
/** @type {StepName[]} */
const MACHINE = ['packages', 'npm', 'nats', 'ee', 'engine', 'postgres', 'build', 'machine'];

/** Commands that start things on this machine; the others talk to what runs, or only read. */
const STARTING = new Set(['demo', 'up', 'bench', 'test']);

/** Every command: a mistyped one is refused at once, not after an installation. The compiled program has the details. */
const COMMANDS = new Set([
  ...STARTING,
  ...[
    'down',
    'status',
    'reset',
    'launch',
    'relaunch',
    'jobs',
    'job',
    'cancel',
    'verify',
    'export',
    'replay',
    'retention',
    'ee',
    'token',
    'doctor',
    'help',
  ],
  ...['migrate', 'secrets', 'supervise'],
]);

/**
 * The steps of a command.
 * @param {string[]} args the words after `./gantry`
 * @returns {{ own: 'doctor' | 'help' | 'usage' | undefined, steps: StepName[] }} own: answered here, without the compiled code
 */
export function planFor(args) {
  const command = args.find((arg) => !arg.startsWith('-'));
  const help = args.includes('--help') || args.includes('-h') || command === 'help';
  if (command === 'doctor' && !help) return { own: 'doctor', steps: [] };
  if (command ? !COMMANDS.has(command) : args.length > 0 && !help) return { own: 'usage', steps: [] };
  // `ee` has commands of its own, which the compiled program explains.
  if ((help && command !== 'ee') || !command) return { own: 'help', steps: [] };
  if (!STARTING.has(command)) return { own: undefined, steps: CODE };
  return { own: undefined, steps: command === 'test' ? [...MACHINE, 'sshd', 'dockerRegistry'] : MACHINE };
}

/**
 * Run steps, each as soon as those it comes after are done. After a failure no further step begins; those that run
 * are waited for, since a package manager must not be stopped half-way.
 * @template {string} S
 * @param {readonly S[]} steps
 * @param {Readonly<Record<string, readonly string[]>>} after
 * @param {(step: S) => Promise<void>} perform
 * @param {() => void} [onFailure] called at the first failure, to stop what may be stopped
 * @returns {Promise<void>} rejects with the first failure
 */
export async function runSteps(steps, after, perform, onFailure) {
  /** @type {Map<string, Promise<void>>} */
  const started = new Map();
  /** @type {unknown[]} */
  const failures = [];
  /** @type {(step: S) => Promise<void>} */
  const start = (step) => {
    const known = started.get(step);
    if (known) return known;
    const before = (after[step] ?? []).filter((name) =>
      /** @type {readonly string[]} */ (steps).includes(name),
    );
    const promise = Promise.all(before.map((name) => start(/** @type {S} */ (name)))).then(async () => {
      if (failures.length > 0) return;
      try {
        await perform(step);
      } catch (error) {
        failures.push(error);
        if (failures.length === 1) onFailure?.();
      }
    });
    started.set(step, promise);
    return promise;
  };
  await Promise.all(steps.map(start));
  if (failures.length > 0) throw failures[0];
}

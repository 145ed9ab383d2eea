/** The steps of the set-up: each says whether there is anything to do, and does it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildEe, buildSshd, EE_IMAGE, eeRecipe, imageOf, sshdCurrent } from './ee.mjs';
import { podmanEngine, probePodman, runningEngine } from './engine.mjs';
import { HOME, logOf, makeHome, ROOT } from './home.mjs';
import { readMachine, writeMachine } from './machine.mjs';
import { fetchNatsServer, findNatsServer } from './nats.mjs';
import { fetchProgram } from './packaged-program.mjs';
import { install, needs } from './packages.mjs';
import { preparePostgres } from './postgres.mjs';
import { SetupError, Stopped } from './run.mjs';
import { hasApt, output, readDistro, which } from './system.mjs';
import { build, buildCurrent, installPackages, packagesCurrent } from './workspace.mjs';

/** @typedef {import('./progress.mjs').Progress} Progress */
/** @typedef {import('./machine.mjs').Engine} Engine */

/** The names under which distributions install a browser that the tests can drive. */
const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** One run of the set-up: what it has found so far, and its steps. */
export class Setup {
  /**
   * @param {Progress} progress
   * @param {{ tests: boolean }} want
   */
  constructor(progress, want) {
    this.progress = progress;
    this.want = want;
    this.distro = readDistro();
    this.before = readMachine(HOME);
    /** @type {{ engine?: Engine, natsServer: string | null, postgres: import('./machine.mjs').Postgres | null }} */
    this.found = { natsServer: null, postgres: null };
    this.eeImage = process.env.GANTRY_EE_IMAGE || EE_IMAGE;
    makeHome();
  }

  /**
   * Do something that takes long, with a line of its own.
   * @param {string} title
   * @param {(detail: (text: string) => void) => Promise<unknown>} work
   */
  async line(title, work) {
    const step = this.progress.begin(title);
    try {
      await work((text) => {
        step.detail = text;
      });
    } catch (error) {
      this.progress.failed(step, error instanceof Stopped);
      throw error;
    }
    this.progress.done(step);
  }

  /** The distribution's packages. Also settles which engine serves, since that decides what is needed. */
  async packages() {
    this.found.engine = await runningEngine();
    const ownPodman = this.found.engine === undefined;
    this.found.engine ??= podmanEngine(
      HOME,
      this.before.engine?.kind === 'podman' ? this.before.engine.env : {},
      'bridge',
    );
    const fromPackages = this.eeImage === EE_IMAGE && this.distro.id === 'debian' && !this.eeCurrent();
    const missing = needs({ podman: ownPodman, buildEe: fromPackages, chromium: this.want.tests }).filter(
      (need) => !need.present,
    );
    if (missing.length === 0) return;
    const say = (/** @type {string} */ text) => this.progress.say(`   ${text}`);
    if (process.env.GANTRY_NO_INSTALL === '1' || !hasApt(this.distro)) {
      await install(missing, { distro: this.distro, log: logOf('packages'), say });
    }
    await this.line(`Installing ${missing.map((need) => need.name).join(', ')} with apt`, (detail) =>
      install(missing, { distro: this.distro, log: logOf('packages'), say, detail }),
    );
    if (ownPodman) this.found.engine = podmanEngine(HOME, this.found.engine.env, 'bridge');
  }

  /** The engine with a program that builds images. */
  builder() {
    const engine = this.found.engine;
    if (!engine?.command) {
      throw new SetupError(
        'Neither docker nor podman is on the PATH, so no image can be built. Install one, or name an image in GANTRY_EE_IMAGE.',
        {
          exitCode: 3,
        },
      );
    }
    return { command: engine.command, env: engine.env };
  }

  /** Is the local EE there, built from the recipe as it is? */
  eeCurrent() {
    if (!this.found.engine?.command || !existsSync(this.found.engine.command)) return false;
    return imageOf(this.builder(), EE_IMAGE)?.recipe === eeRecipe(ROOT);
  }

  /** The npm packages. */
  async npm() {
    if (packagesCurrent(ROOT)) return;
    await this.line('Installing npm packages', () => installPackages({ root: ROOT, log: logOf('npm') }));
  }

  /** The compiled code. */
  async build() {
    if (buildCurrent(ROOT)) return;
    await this.line('Compiling', (detail) => build({ root: ROOT, log: logOf('build'), detail }));
  }

  /** nats-server. */
  async nats() {
    if (process.env.GANTRY_NATS_URL) return;
    this.found.natsServer = findNatsServer(HOME).command ?? null;
    if (this.found.natsServer) return;
    await this.line("Fetching nats-server out of Debian's package into .gantry/bin", async () => {
      this.found.natsServer = await fetchNatsServer({ home: HOME, log: logOf('nats'), distro: this.distro });
    });
  }

  /** The local EE image. */
  async ee() {
    if (this.eeImage !== EE_IMAGE || this.eeCurrent()) return;
    const context = { engine: this.builder(), root: ROOT, distro: this.distro, log: logOf('ee') };
    await this.line(`Building the Execution Environment ${EE_IMAGE}`, (detail) =>
      buildEe({ ...context, detail }),
    );
  }

  /** How containers start here. */
  async engine() {
    if (this.found.engine?.kind !== 'podman') return;
    this.found.engine = probePodman(HOME, this.eeImage, this.before.engine);
  }

  /** The programs of Postgres. */
  async postgres() {
    this.found.postgres = process.env.GANTRY_POSTGRES_URL ? null : preparePostgres(ROOT, HOME);
  }

  /** The image of the host that tests manage. */
  async sshd() {
    const context = { engine: this.builder(), root: ROOT, distro: this.distro, log: logOf('sshd') };
    if (sshdCurrent(context)) return;
    await this.line('Building the SSH host for the tests', () => buildSshd(context));
  }

  /** The container registry that tests push to and pull from. */
  async dockerRegistry() {
    const name = 'docker-registry';
    const fetched = [HOME, join(ROOT, '.gantry')].map((folder) => join(folder, 'bin', name));
    if (process.env.GANTRY_TEST_DOCKER_REGISTRY || which(name) || fetched.some(existsSync)) return;
    const byHand = `${name} is needed for the tests: put distribution's registry on the PATH under this name, or name it in GANTRY_TEST_DOCKER_REGISTRY.`;
    await this.line(`Fetching ${name} out of the distribution's package into .gantry/bin`, () =>
      fetchProgram(name, { home: HOME, log: logOf(name), distro: this.distro, newer: false, byHand }),
    );
  }

  /** Write down what was found. */
  async machine() {
    const exec = output('git', ['--exec-path']) ?? '';
    writeMachine(HOME, {
      natsServer: this.found.natsServer,
      engine: /** @type {Engine} */ (this.found.engine),
      eeImage: this.eeImage,
      postgres: this.found.postgres,
      git: { command: which('git') ?? 'git', daemon: join(exec, 'git-daemon') },
      chromium: BROWSERS.map((name) => which(name)).find(Boolean) ?? null,
      distro: this.distro.name,
    });
  }

  /**
   * @param {import('./plan.mjs').StepName} name
   * @returns {Promise<void>}
   */
  perform(name) {
    return this[name]();
  }
}

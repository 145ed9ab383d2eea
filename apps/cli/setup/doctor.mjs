/** `./gantry doctor`: what this machine needs, what it has, and how to get the rest. Changes nothing. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EE_IMAGE, eeRecipe, imageOf } from './ee.mjs';
import { runningEngine } from './engine.mjs';
import { HOME, ROOT } from './home.mjs';
import { readMachine } from './machine.mjs';
import { findNatsServer, NATS_BY_HAND } from './nats.mjs';
import { choosePackages, NATS_WANTED, natsPackaged, needs } from './packages.mjs';
import { embeddedPackage } from './postgres.mjs';
import { SetupError } from './run.mjs';
import { atLeast, hasApt, output, privilege, readDistro, versionOf, which } from './system.mjs';

/** The oldest Node.js everything runs on. */
export const NODE_WANTED = '20.19';

/**
 * @typedef {object} Finding
 * @property {string} name
 * @property {string} needed   what is needed, and for what
 * @property {string | null} found  what is there; null: missing
 * @property {boolean} ok
 * @property {boolean} optional  only the tests need it
 * @property {string | null} how   how to get it; null when it is there
 */

/**
 * @param {string} name
 * @param {string} needed
 * @param {string | null | undefined} found
 * @param {string} how
 * @param {{ ok?: boolean, optional?: boolean }} [more] ok: false when what was found does not serve
 * @returns {Finding}
 */
function finding(name, needed, found, how, more = {}) {
  const ok = more.ok ?? Boolean(found);
  return { name, needed, found: found || null, ok, optional: more.optional ?? false, how: ok ? null : how };
}

/** @param {string} text */
const version = (text) => versionOf(text).join('.');

/**
 * Look at everything.
 * @returns {Promise<{ distro: string, findings: Finding[] }>}
 */
export async function examine() {
  const distro = readDistro();
  const apt = hasApt(distro);
  const byApt = (/** @type {string[]} */ names) =>
    `apt-get install --no-install-recommends ${names.join(' ')}`;
  const node = process.versions.node;
  const npm = output('npm', ['--version']);
  const exec = which('git') && output('git', ['--exec-path']);
  const daemon = exec && existsSync(join(exec, 'git-daemon'));
  const chromium = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']
    .map((name) => which(name))
    .find(Boolean);
  const nodeHow =
    "the distribution's package nodejs if it is new enough, else a release from the Node.js project";
  /** @type {Finding[]} */
  const findings = [
    finding('Node.js', `>= ${NODE_WANTED}, runs everything`, node, nodeHow, {
      ok: atLeast(node, NODE_WANTED),
    }),
    finding('npm', 'installs the JavaScript packages', npm, apt ? byApt(['npm']) : 'it comes with Node.js'),
    finding(
      'git',
      'with git daemon; fetches projects, serves the demo project',
      exec && `${version(output('git', ['--version']) ?? '')}${daemon ? '' : ', without git daemon'}`,
      apt ? byApt(['git']) : 'git and git-daemon from your distribution',
      { ok: Boolean(daemon) },
    ),
  ];
  const engine = await engineFinding(apt);
  findings.push(engine.finding);
  findings.push(natsFinding(apt, distro));
  findings.push(postgresFinding());
  findings.push(imageFinding(engine.builder, distro));
  findings.push(
    finding(
      'chromium',
      'tests of the page only',
      chromium,
      apt ? byApt(['chromium']) : 'Chromium or Google Chrome',
      { optional: true },
    ),
  );
  return { distro: distro.name, findings };
}

/**
 * @param {boolean} apt
 * @returns {Promise<{ finding: Finding, builder?: { command: string, env: Record<string, string> } }>}
 */
async function engineFinding(apt) {
  const needed = 'Docker, or podman >= 4.3; runs each job in a container of its own';
  try {
    const running = await runningEngine();
    if (running) {
      const builder = running.command ? { command: running.command, env: running.env } : undefined;
      return {
        finding: finding('container engine', needed, `${running.kind} at ${running.socket}`, ''),
        builder,
      };
    }
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return { finding: finding('container engine', needed, null, error.message) };
  }
  const podman = needs({ podman: true, buildEe: false, chromium: false }).filter(
    (need) => need.name === 'podman',
  );
  const names = choosePackages(podman, new Map((podman[0].wanted ?? []).map((name) => [name, ''])));
  const command = which('podman');
  const found = command && `podman ${version(output(command, ['--version']) ?? '')}`;
  const how = apt ? `apt-get install --no-install-recommends ${names.join(' ')}` : podman[0].elsewhere;
  const before = readMachine(HOME).engine;
  const env = before?.kind === 'podman' ? before.env : {};
  return {
    finding: finding(
      'container engine',
      needed,
      found && (podman[0].present ? found : `${found}, incomplete`),
      how,
      {
        ok: podman[0].present && Boolean(found),
      },
    ),
    builder: command ? { command, env } : undefined,
  };
}

/**
 * @param {boolean} apt
 * @param {import('./system.mjs').Distro} distro
 * @returns {Finding}
 */
function natsFinding(apt, distro) {
  const needed = `>= ${NATS_WANTED}, carries commands and events`;
  if (process.env.GANTRY_NATS_URL)
    return finding('nats-server', needed, 'the server that GANTRY_NATS_URL names', '');
  const { command, tooOld } = findNatsServer(HOME);
  const found = command
    ? `${version(output(command, ['--version']) ?? '')} (${command})`
    : tooOld && `${tooOld}, too old`;
  const fetchable = apt && (distro.id === 'debian' || natsPackaged());
  return finding(
    'nats-server',
    needed,
    found,
    fetchable ? "`./gantry up` unpacks Debian's package into .gantry/bin" : NATS_BY_HAND,
    {
      ok: Boolean(command),
    },
  );
}

/** @returns {Finding} */
function postgresFinding() {
  const needed = '>= 15, keeps everything';
  if (process.env.GANTRY_POSTGRES_URL)
    return finding('Postgres', needed, 'the server that GANTRY_POSTGRES_URL names', '');
  const embedded = existsSync(join(embeddedPackage(ROOT), 'native'));
  const how =
    '`./gantry up` (or `npm ci`) installs it as an npm package; or name a server in GANTRY_POSTGRES_URL';
  return finding('Postgres', needed, embedded ? 'embedded programs (npm)' : null, how);
}

/**
 * @param {{ command: string, env: Record<string, string> } | undefined} builder
 * @param {import('./system.mjs').Distro} distro
 * @returns {Finding}
 */
function imageFinding(builder, distro) {
  const needed = 'ansible-core and ansible-runner in an image';
  if (process.env.GANTRY_EE_IMAGE)
    return finding('EE image', needed, `${process.env.GANTRY_EE_IMAGE} (GANTRY_EE_IMAGE)`, '');
  const image = builder && imageOf(builder, EE_IMAGE);
  const current = image?.recipe === eeRecipe(ROOT);
  const how =
    distro.id === 'debian' && hasApt(distro)
      ? `\`./gantry up\` builds it from Debian's packages${which('mmdebstrap') ? '' : ' (installs mmdebstrap)'}`
      : '`./gantry up` builds it from infra/ee/Containerfile; a registry with its base image must be reachable';
  return finding('EE image', needed, image && `${EE_IMAGE}${current ? '' : ', of an older recipe'}`, how, {
    ok: current,
  });
}

/**
 * The table for people.
 * @param {{ distro: string, findings: Finding[] }} report
 * @param {(text: string, code: number) => string} paint
 */
export function table({ distro, findings }, paint) {
  const lines = [`${distro}`, ''];
  const width = Math.max(...findings.map(({ name }) => name.length));
  for (const { name, needed, found, ok, optional, how } of findings) {
    const mark = ok ? paint('ok', 32) : optional ? paint('--', 33) : paint('!!', 31);
    lines.push(`${mark}  ${name.padEnd(width)}  ${found ?? 'missing'}`);
    if (!ok)
      lines.push(`    ${''.padEnd(width)}  needed: ${needed}`, `    ${''.padEnd(width)}  get it: ${how}`);
  }
  return lines.join('\n');
}

/**
 * The command itself.
 * @param {string[]} args
 * @returns {Promise<number>} exit code: 0 all there, 1 something missing
 */
export async function doctor(args) {
  const report = await examine();
  const ok = report.findings.every((one) => one.ok || one.optional);
  if (args.includes('--json')) {
    process.stdout.write(`${JSON.stringify({ ok, ...report }, null, 2)}\n`);
    return ok ? 0 : 1;
  }
  const color = process.stdout.isTTY && !process.env.NO_COLOR;
  process.stdout.write(
    `${table(report, (text, code) => (color ? `\u001b[${code}m${text}\u001b[0m` : text))}\n`,
  );
  const may = privilege() !== undefined && process.env.GANTRY_NO_INSTALL !== '1';
  if (!ok)
    process.stdout.write(
      `\n${may ? '`./gantry up` installs what apt can.' : 'Installing needs root or a sudo without password.'}\n`,
    );
  return ok ? 0 : 1;
}

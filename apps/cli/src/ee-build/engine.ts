/** The container engine a build runs on: Docker's API, which Podman serves too. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';
import Docker from 'dockerode';
import { registryTrust } from '../engine.part.js';
import { homePath, readMachine } from '../home.js';

/** An engine that answers. */
export interface Engine {
  docker: Docker;
  /** `Podman 4.3.1`. */
  name: string;
  /** No bridge can be made here, so a build uses the machine's own network. */
  hostNetwork: boolean;
  /** Ends what was started for this build. */
  close(): void;
}

/** Connects to an address: `unix:///path`, `tcp://host:port`, `http(s)://host:port`. */
const connect = (address: string): Docker => {
  const socket = /^unix:\/\/(\/.+)$/.exec(address);
  if (socket) return new Docker({ socketPath: socket[1] });
  const url = new URL(address.replace(/^tcp:/, 'http:'));
  return new Docker({
    protocol: url.protocol === 'https:' ? 'https' : 'http',
    host: url.hostname,
    port: url.port || '2375',
  });
};

const answers = (docker: Docker): Promise<boolean> =>
  docker.ping().then(
    () => true,
    () => false,
  );

/**
 * The engine that is named in the environment (GANTRY_CONTAINER_HOST, CONTAINER_HOST, DOCKER_HOST), else the one Gantry uses on this
 * machine, else Docker's, else Podman with an API service for this build alone. Throws `unavailable` if there is none.
 */
export const openEngine = async (): Promise<Engine> => {
  const named =
    process.env['GANTRY_CONTAINER_HOST'] ?? process.env['CONTAINER_HOST'] ?? process.env['DOCKER_HOST'];
  const machine = existsSync(homePath('machine.json')) ? readMachine().engine : null;
  const hostNetwork = machine?.network === 'host';
  if (named) {
    const docker = connect(named);
    if (!(await answers(docker)))
      throw new PlatformError(
        'unavailable',
        `No container engine answers at ${named}: correct GANTRY_CONTAINER_HOST, CONTAINER_HOST or DOCKER_HOST.`,
      );
    return describe(docker, hostNetwork, () => undefined);
  }
  for (const address of [machine?.socket, 'unix:///var/run/docker.sock']) {
    const docker = address === undefined ? null : connect(address);
    if (docker && (await answers(docker))) return describe(docker, hostNetwork, () => undefined);
  }
  return startPodman(machine?.service?.command ?? 'podman', machine?.env ?? {}, hostNetwork);
};

const describe = async (docker: Docker, hostNetwork: boolean, close: () => void): Promise<Engine> => {
  const version = (await docker.version()) as { Version: string; Components?: { Name: string }[] };
  const name = version.Components?.some((part) => /podman/i.test(part.Name)) ? 'Podman' : 'Docker';
  return { docker, name: `${name} ${version.Version}`, hostNetwork, close };
};

/** An API service of our own; one that we cannot end any more ends by itself after a minute without calls. */
const startPodman = async (
  command: string,
  env: Record<string, string>,
  hostNetwork: boolean,
): Promise<Engine> => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-engine-'));
  const address = `unix://${join(folder, 'engine.sock')}`;
  const conf = homePath('containers.conf');
  const own = existsSync(conf) && !process.env['CONTAINERS_CONF'] ? { CONTAINERS_CONF: conf } : {};
  let words = '';
  let ended = false;
  const service = spawn(command, ['system', 'service', '--time=60', address], {
    env: { ...process.env, ...own, ...env, ...registryTrust() },
    // It leaves marks of its containers in the folder it is started in.
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  service.stderr.on('data', (piece: Buffer) => (words = `${words}${piece.toString()}`.slice(-2_000)));
  service.once('error', (error) => {
    words = error.message;
    ended = true;
  });
  service.once('exit', () => (ended = true));
  const close = (): void => {
    service.kill('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  };
  const docker = connect(address);
  for (let left = 150; !(await answers(docker)); left--) {
    if (ended || left === 0) {
      close();
      throw new PlatformError(
        'unavailable',
        `There is no container engine: neither Docker answers, nor does podman start (${words.trim() || 'it says nothing'}). ./gantry doctor says what is missing.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return describe(docker, hostNetwork, close);
};

/** The engine's own words, without dockerode's around them. */
export const wordsOf = (error: unknown): string => {
  const { json, message } = error as { json?: { message?: unknown } | null; message?: string };
  return typeof json?.message === 'string' ? json.message : (message ?? String(error));
};

/** One message of a build, pull or push. */
export interface EngineMessage {
  stream?: string;
  status?: string;
  error?: string;
  errorDetail?: { message?: string };
  aux?: { ID?: string; Digest?: string };
}

/**
 * Reads an answer of the engine to its end. It answers 200 before it knows, so a failure stands among the messages: gives its
 * words, undefined when all went well.
 */
export const readMessages = async (
  docker: Docker,
  stream: NodeJS.ReadableStream,
  each: (message: EngineMessage) => void,
): Promise<string | undefined> => {
  let failure: string | undefined;
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(
      stream,
      (error: Error | null) => (error ? reject(error) : resolve()),
      (message: EngineMessage) => {
        failure ??= message.errorDetail?.message ?? message.error;
        each(message);
      },
    );
  });
  return failure;
};

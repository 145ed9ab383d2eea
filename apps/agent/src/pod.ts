/** Runs the agent for a test as a launcher would: in a container of the real Execution Environment, from its source alone. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import { StrictIngest, type Job, type Trouble } from './strict-ingest.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const home = process.env['GANTRY_HOME'] ?? join(root, '.gantry');
const source = readFileSync(join(root, 'apps/agent/agent.py'));

interface Machine {
  engine?: { kind: string; command?: string; env?: Record<string, string> };
  eeImage?: string;
}
const machineFile = join(home, 'machine.json');
const machine = (existsSync(machineFile) ? JSON.parse(readFileSync(machineFile, 'utf8')) : {}) as Machine;
const command = machine.engine?.command ?? 'podman';
const privateConfig = join(home, 'containers.conf');
const environment = {
  ...process.env,
  ...(existsSync(privateConfig) && !process.env['CONTAINERS_CONF'] ? { CONTAINERS_CONF: privateConfig } : {}),
  ...machine.engine?.env,
};

const findImage = (): string | undefined => {
  try {
    const listed = execFileSync(command, ['images', '--format', '{{.Repository}}:{{.Tag}}'], {
      env: environment,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const images = listed.toString().split('\n');
    const known = machine.eeImage;
    return known && images.some((image) => image.endsWith(known))
      ? known
      : images.find((image) => /(^|\/)gantry-ee:/.test(image));
  } catch {
    return undefined;
  }
};
/** The Execution Environment of this machine; undefined if `./gantry` has not set it up. */
export const eeImage = findImage();

const confined = [
  '--rm', '--pull=never', '--network=none', '--user=1000:0', '--read-only', '--cap-drop=all', '--security-opt=no-new-privileges',
  '--pids-limit=512', '--memory=1g', '--tmpfs=/runner:rw,exec,nosuid,nodev,size=256m,mode=1777', '--tmpfs=/tmp:rw,exec,nosuid,nodev,size=64m,mode=1777',
]; // prettier-ignore

/** How a process ended. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command in a confined container of the EE. */
export const inEnvironment = (
  args: string[],
  options: {
    flags?: string[];
    /** Standard input; it stays open after it, as a pod's does, unless it is to end. */
    input?: string;
    endInput?: boolean;
    onStart?: (name: string) => void;
    onStderr?: (text: string) => void;
  } = {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const name = `gantry-agent-test-${process.pid}-${Math.round(performance.now() * 1000)}`;
    const child = spawn(
      command,
      ['run', '-i', '--name', name, ...confined, ...(options.flags ?? []), eeImage ?? '', ...args],
      { env: environment },
    );
    const [stdout, stderr]: string[][] = [[], []];
    child.stdout.on('data', (data) => stdout!.push(String(data)));
    child.stderr.on('data', (data) => {
      stderr!.push(String(data));
      options.onStderr?.(String(data));
    });
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code: code ?? -1, stdout: stdout!.join(''), stderr: stderr!.join('') }),
    );
    child.stdin.on('error', () => undefined);
    child.stdin.write(options.input ?? '');
    if (!options.input || options.endInput) child.stdin.end();
    options.onStart?.(name);
  });

/** Asks the engine to stop a container. */
export const stopPod = (name: string): void =>
  void spawn(command, ['stop', '-t', '10', name], { env: environment, stdio: 'ignore' });

/** The agent as one argument: no file of ours is in the image. */
export const agentCommand = (): string[] => [
  'python3', '-c', `import base64,zlib;exec(zlib.decompress(base64.b64decode("${deflateSync(source, { level: 9 }).toString('base64')}")))`,
]; // prettier-ignore

/** What a test says about a job; everything else is given. */
export interface Case {
  files: Record<string, string>;
  playbook?: string;
  inventory?: unknown;
  payload?: Record<string, unknown>;
  credentials?: Record<string, unknown>;
  limits?: Record<string, number>;
  archive?: Buffer;
  trouble?: Trouble;
  wrongToken?: boolean;
  env?: string[];
  onStderr?: (text: string) => void;
  /** While it runs. What the pod writes into `/run/gantry` lies in `folder`. */
  during?: (ingest: StrictIngest, name: string, folder: string) => void;
}

/** A tar of these files, as git archive makes one. */
export const tar = (files: Record<string, string>): Buffer => {
  const blocks: Buffer[] = [];
  for (const [name, content] of Object.entries(files)) {
    const data = Buffer.from(content);
    const head = Buffer.alloc(512);
    head.write(name, 0);
    head.write(
      `${'0000644'}\0${'0000000'}\0${'0000000'}\0${data.length.toString(8).padStart(11, '0')}\0${'00000000000'}\0        0`,
      100,
    );
    head.write('ustar\x0000', 257);
    head.write(
      head
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0') + '\0 ',
      148,
    );
    blocks.push(head, data, Buffer.alloc((512 - (data.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
};

/** Three local hosts. */
export const localHosts = {
  all: { children: ['demo'] },
  demo: { hosts: ['alpha', 'beta', 'gamma'] },
  _meta: {
    hostvars: Object.fromEntries(
      ['alpha', 'beta', 'gamma'].map((name) => [
        name,
        { ansible_connection: 'local', ansible_python_interpreter: '/usr/bin/python3' },
      ]),
    ),
  },
};

/** Runs one job in a pod and returns what its ingest saw. */
export const runJob = async (
  given: Case,
): Promise<{ ingest: StrictIngest; ended: Ended; stdout: string }> => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-agent-'));
  chmodSync(folder, 0o777); // the pod's user must reach the socket in it, and playbooks leave marks there
  const archive = given.archive ?? tar(given.files);
  const inventory = Buffer.from(JSON.stringify(given.inventory ?? localHosts));
  const objects = new Map(
    [archive, inventory].map((data) => [createHash('sha256').update(data).digest('hex'), data]),
  );
  const [project, snapshot] = [...objects].map(([sha256, data]) => ({ sha256, sizeBytes: data.length }));
  const payload = {
    project,
    inventory: snapshot,
    playbook: given.playbook ?? 'site.yml',
    arguments: [],
    environment: {},
    extraVars: {},
    timeoutSeconds: 0,
    ...given.payload,
  };
  const job: Job = {
    id: 'job-1',
    epoch: 3,
    token: 'pod-token-0123456789',
    payload,
    credentials: given.credentials,
    limits: given.limits,
    objects,
  };
  const ingest = new StrictIngest(job);
  if (given.trouble) ingest.trouble = given.trouble;
  await ingest.listen(join(folder, 'pods.sock'));
  try {
    const ended = await inEnvironment(agentCommand(), {
      flags: [
        `-v=${folder}:/run/gantry`,
        '-e=GANTRY_URL=unix:///run/gantry/pods.sock',
        '-e=GANTRY_JOB_ID=job-1',
        '-e=GANTRY_EPOCH=3',
        ...(given.env ?? []).map((text) => `-e=${text}`),
      ],
      // Some engines feed the body of the attach call to standard input first.
      input: `{"attach":true}gantry-token:${given.wrongToken ? 'another' : job.token}\ngantry-token:again\n`,
      onStderr: given.onStderr,
      onStart: (name) => given.during?.(ingest, name, folder),
    });
    return { ingest, ended, stdout: ingest.events.map((event) => event.stdout).join('\n') };
  } finally {
    await ingest.close();
    rmSync(folder, { recursive: true, force: true });
  }
};

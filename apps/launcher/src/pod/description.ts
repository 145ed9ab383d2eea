/**
 * The one description of a job's pod, whatever runs it: a container engine, or (later) Kubernetes. Pure.
 * Nothing in it is secret: the pod token goes in on standard input (docs/PROTOCOL.md 1.1).
 */
import { deflateSync } from 'node:zlib';

/** What a driver turns into a running pod. */
export interface PodDescription {
  /** `gantry-<jobId>-<epoch>`: whoever comes later finds the pod of an attempt by it, and nobody makes a second one. */
  name: string;
  /** What the engine calls the image: an id or digest, so that what was looked at is what runs. */
  image: string;
  command: string[];
  environment: Record<string, string>;
  labels: Record<string, string>;
  user: { uid: number; gid: number };
  /** In memory, writable by everybody in the pod, gone with it. */
  memoryVolumes: { path: string; sizeBytes: number }[];
  mounts: { source: string; target: string; readOnly: boolean }[];
  /** `bridge`, `none`, `host` or a network's name. */
  network: string;
  limits: PodLimits;
  /** Between the polite signal and the end, when stopped. */
  graceSeconds: number;
  /** How much of what it prints the engine keeps. */
  logMebibytes: number;
}

/** What a pod may use. */
export interface PodLimits {
  /** Memory volumes count towards it. */
  memoryBytes: number;
  /** Processors; fractions allowed, 0 = no limit. */
  cpus: number;
  processes: number;
}

/** What all pods of an installation have in common. */
export interface PodSettings {
  installationId: string;
  /** Where pods find ingest: `unix:///path/on/this/host`, or `http(s)://host:port`. */
  podsUrl: string;
  network: string;
  limits: PodLimits;
  /** Source of the agent. */
  agentSource: Uint8Array;
}

/** Names of the labels by which pods are found again. */
export const podLabels = {
  job: 'gantry.job',
  epoch: 'gantry.epoch',
  installation: 'gantry.installation',
  /** Of a pod that looks into an image: the digest. */
  inspection: 'gantry.inspection',
  /** Of such a pod: after this, in milliseconds since the epoch, nobody waits for it. */
  deadline: 'gantry.deadline',
} as const;

/** Name of the pod of an attempt. */
export const podName = (jobId: string, epoch: number): string => `gantry-${jobId}-${epoch}`;

const socketFolder = '/run/gantry';
const mebibyte = 1024 * 1024;

/** The description of the pod of one attempt. */
export const describePod = (
  settings: PodSettings,
  job: { id: string; epoch: number; image: string },
): PodDescription => {
  const door = podDoor(settings.podsUrl);
  return {
    name: podName(job.id, job.epoch),
    image: job.image,
    command: pythonCommand(settings.agentSource),
    environment: { GANTRY_URL: door.url, GANTRY_JOB_ID: job.id, GANTRY_EPOCH: String(job.epoch) },
    labels: {
      [podLabels.job]: job.id,
      [podLabels.epoch]: String(job.epoch),
      [podLabels.installation]: settings.installationId,
    },
    user: { uid: 1000, gid: 0 },
    memoryVolumes: [
      { path: '/runner', sizeBytes: 1024 * mebibyte },
      { path: '/tmp', sizeBytes: 256 * mebibyte },
    ],
    mounts: door.mounts,
    network: settings.network,
    limits: settings.limits,
    graceSeconds: 10,
    // The agent's own short diagnostics only: what the playbook prints goes to ingest.
    logMebibytes: 1,
  };
};

/** The folder is mounted, not the socket: a socket that ingest makes anew after a restart is seen in it. */
const podDoor = (podsUrl: string): { url: string; mounts: PodDescription['mounts'] } => {
  const socket = /^unix:\/\/(\/.+)\/([^/]+)$/.exec(podsUrl);
  if (!socket) return { url: podsUrl, mounts: [] };
  return {
    url: `unix://${socketFolder}/${socket[2]}`,
    mounts: [{ source: socket[1]!, target: socketFolder, readOnly: true }],
  };
};

const commands = new WeakMap<Uint8Array, string[]>();

/** A program in Python as an argument: no file of ours is in the image. Compressed, for an argument holds at most 128 KiB. */
export const pythonCommand = (source: Uint8Array): string[] => {
  const known = commands.get(source);
  if (known) return known;
  const packed = deflateSync(source, { level: 9 }).toString('base64');
  const command = [
    'python3',
    '-c',
    `import base64,zlib;exec(zlib.decompress(base64.b64decode("${packed}")))`,
  ];
  commands.set(source, command);
  return command;
};

/**
 * Pods on one machine: a container each, through the Docker Engine API, which Docker and Podman serve alike.
 * Verified on Podman 4.3.1 by container-engine.int.spec.ts (2026-11). Its traps, and what is done about them here:
 * - dockerode's attach sends its options as a body, which Podman feeds to standard input: the token has a line of its own;
 * - a tmpfs is noexec on Docker unless `exec` is said, and its owner cannot be named: mode 1777 serves;
 * - OOMKilled is always false: 137 without our kill is told as what it most likely is.
 */
import { PlatformError } from '@gantry/contracts/errors';
import Docker from 'dockerode';
import { setTimeout as pause } from 'node:timers/promises';
import { podLabels, type PodDescription } from '../pod/description.js';
import type { PodDriver, PodState } from '../pod/driver.js';
import { createEnds } from './container-ends.js';
import { createImageLook } from './container-image-config.js';
import { createImages } from './container-images.js';
import { createOutput, withoutFrames } from './container-output.js';
import { asEngineError, messageOf, statusOf, unlessMissing } from './engine-errors.js';

/** An end that was not heard is seen after at most so long. */
const lookMilliseconds = 2_000;

/** A driver for the engine at `host` (`unix:///path`, `tcp://host:port`, `http(s)://host:port`). Connects when first used. */
export const createContainerDriver = (host: string): PodDriver => {
  const docker = connect(host);
  const ends = createEnds(docker, podLabels.installation);
  const inspect = async (name: string): Promise<PodState | null> => {
    const found = await unlessMissing(docker.getContainer(name).inspect(), host);
    return found && stateOf(found);
  };
  const start: PodDriver['start'] = async (name, token) => {
    const container = docker.getContainer(name);
    try {
      if (token === null) return await launch(container);
      // Attached before it starts, so that nothing it says or waits for comes before us.
      const line = await container.attach({ stream: true, stdin: true, hijack: true });
      line.on('error', () => undefined);
      line.resume();
      await launch(container);
      await new Promise<void>((resolve, reject) =>
        line.write(`\ngantry-token:${token}\n`, (error) => (error ? reject(error) : resolve())),
      );
      line.end();
    } catch (error) {
      throw asEngineError(error, host, 'could not start the pod');
    }
  };
  const kill = async (name: string): Promise<void> => {
    // 409: it does not run.
    await unlessMissing(docker.getContainer(name).kill(), host, [409]);
  };
  return {
    name: 'container',
    ...createImages(docker, host),
    describeImage: createImageLook(docker, host),
    inspect,
    start,
    kill,
    create: async (description) => {
      await docker.createContainer(containerOf(description)).catch((error: unknown) => {
        if (statusOf(error) === 409 || /already in use/.test(messageOf(error))) return;
        // A clean-up or a person was faster than we: it is looked for again, and pulled.
        if (statusOf(error) === 404)
          throw new PlatformError(
            'unavailable',
            `The image of the pod has just vanished: ${messageOf(error)}`,
            {
              details: { reason: 'image_vanished' },
            },
          );
        throw asEngineError(error, host, 'could not make the pod');
      });
    },
    wait: async (name, signal) => {
      const end = ends.listen(name);
      try {
        for (;;) {
          const state = await inspect(name);
          if (!state || state.phase !== 'running' || signal.aborted) return state;
          // Over but not yet said to be: the engine is still writing it down.
          if (await end.heard(lookMilliseconds, signal)) await pause(20);
        }
      } finally {
        end.close();
      }
    },
    lastWords: async (name) => {
      const log = await unlessMissing(
        docker.getContainer(name).logs({ stdout: true, stderr: true, tail: 5 }),
        host,
      );
      return log ? withoutFrames(log).slice(-500).trim() : '';
    },
    output: createOutput(docker, host),
    stop: async (name, graceSeconds) => {
      await unlessMissing(docker.getContainer(name).stop({ t: graceSeconds }), host, [304]);
    },
    destroy: async (name) => {
      // Removing by force would wait for the polite signal first.
      if ((await inspect(name))?.phase === 'running') await kill(name);
      await unlessMissing(docker.getContainer(name).remove({ force: true, v: true }), host, [409]);
      for (let left = 100; (await inspect(name)) !== null; left--) {
        if (left === 0)
          throw new PlatformError('unavailable', `The container engine does not get rid of the pod ${name}.`);
        await pause(50);
      }
    },
    list: async (label, value) => {
      const listed = await docker
        .listContainers({ all: true, filters: { label: [`${label}=${value}`] } })
        .catch((error: unknown) => {
          throw asEngineError(error, host, 'could not list the pods');
        });
      return listed.map((container) => ({
        name: container.Names[0]?.replace(/^\//, '') ?? container.Id,
        labels: container.Labels ?? {},
        phase: phaseOf(container.State),
        exitCode: null,
        outOfMemory: false,
        detail: container.Status ?? '',
      }));
    },
  };
};

/** Starts it, unless it runs. */
const launch = async (container: Docker.Container): Promise<void> => {
  await container.start().catch((error: unknown) => {
    if (statusOf(error) === 304) return;
    const words = messageOf(error);
    if (!/executable file not found|no such file or directory.*: unknown|\bstat\b.*no such file/i.test(words))
      throw error;
    throw new PlatformError('refused', `The image lacks the program that its pod is to run: ${words}`, {
      details: { reason: 'command_not_found' },
      cause: error,
    });
  });
};

const connect = (host: string): Docker => {
  const socket = /^unix:\/\/(\/.+)$/.exec(host);
  if (socket) return new Docker({ socketPath: socket[1] });
  const url = new URL(host.replace(/^tcp:/, 'http:'));
  return new Docker({
    protocol: url.protocol === 'https:' ? 'https' : 'http',
    host: url.hostname,
    port: url.port || '2375',
  });
};

/** The description in the engine's words. */
export const containerOf = (pod: PodDescription): Docker.ContainerCreateOptions => ({
  name: pod.name,
  Image: pod.image,
  Entrypoint: [],
  Cmd: pod.command,
  Env: Object.entries(pod.environment).map(([name, value]) => `${name}=${value}`),
  Labels: pod.labels,
  User: `${pod.user.uid}:${pod.user.gid}`,
  // Kept open after the first one detaches: a launcher that takes over may have to give the token.
  OpenStdin: true,
  StdinOnce: false,
  AttachStdin: true,
  Tty: false,
  StopTimeout: pod.graceSeconds,
  HostConfig: {
    ReadonlyRootfs: true,
    Privileged: false,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    Tmpfs: Object.fromEntries(
      pod.memoryVolumes.map(({ path, sizeBytes }) => [
        path,
        `rw,exec,nosuid,nodev,size=${sizeBytes},mode=1777`,
      ]),
    ),
    Mounts: pod.mounts.map(({ source, target, readOnly }) => ({
      Type: 'bind',
      Source: source,
      Target: target,
      ReadOnly: readOnly,
    })),
    NetworkMode: pod.network,
    Memory: pod.limits.memoryBytes,
    // Swap would make the limit meaningless, and memory volumes reach the disk.
    MemorySwap: pod.limits.memoryBytes,
    ...(pod.limits.cpus > 0 ? { NanoCpus: Math.round(pod.limits.cpus * 1e9) } : {}),
    PidsLimit: pod.limits.processes,
    RestartPolicy: { Name: 'no' },
    LogConfig: { Type: 'json-file', Config: { 'max-size': `${pod.logMebibytes}m` } },
  },
});

const stateOf = (found: Docker.ContainerInspectInfo): PodState => {
  const phase = phaseOf(found.State.Status);
  return {
    name: found.Name.replace(/^\//, ''),
    labels: found.Config.Labels ?? {},
    phase,
    exitCode: phase === 'exited' ? found.State.ExitCode : null,
    outOfMemory: found.State.OOMKilled,
    detail: found.State.Error ?? '',
  };
};

const phaseOf = (status: string): PodState['phase'] => {
  if (['created', 'configured', 'initialized'].includes(status)) return 'created';
  return ['exited', 'stopped', 'dead'].includes(status) ? 'exited' : 'running';
};

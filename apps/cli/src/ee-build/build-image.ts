/** Building, reading and pushing an image through the engine's API, and saying how far it is. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { PlatformError } from '@gantry/contracts/errors';
import type Docker from 'dockerode';
import { plainText } from '@gantry/contracts/terminal-text';
import { readMessages, wordsOf, type Engine, type EngineMessage } from './engine.js';
import { BuildRecord } from './lock.js';
import { authFor, hostOf, repositoryOf, type RegistryAuth } from './registry-auth.js';

/** A step that begins: `2/4`, `RUN ...`. */
export interface BuildStep {
  number: string;
  instruction: string;
}

/** Reads a line of a build's output: Docker writes `Step 2/4 : RUN x`, Podman `[1/2] STEP 2/4: RUN x`. Null: not the start of a step. */
export const stepOf = (line: string): BuildStep | null => {
  const [, stage, docker, number, instruction] =
    /^(?:\[(\d+\/\d+)\] )?(?:STEP|(Step)) (\d+\/\d+) ?: (.*)$/.exec(line) ?? [];
  if (number === undefined) return null;
  return { number: docker ? number : [stage, number].filter(Boolean).join(' '), instruction: instruction! };
};

/** What a build needs to be told. */
export interface BuildOrder {
  /** The context. */
  folder: string;
  /** Gets all that the build says. */
  log: string;
  noCache: boolean;
  onStep(step: BuildStep): void;
  /** A line of a step's own output. */
  onLine(line: string): void;
}

/** Proxies of the shell: the engine knows these build arguments by itself and keeps them out of the image's history. */
const proxies = (): Record<string, string> =>
  Object.fromEntries(
    ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap((name) => {
      const value = process.env[name];
      return value ? [[name, value]] : [];
    }),
  );

/**
 * Builds the context; gives the image's id (`sha256:...`), without a tag. Throws `refused` with what the scripts in the build say for
 * people, else with the step that failed, its last lines and the engine's words.
 */
export const buildImage = async (engine: Engine, order: BuildOrder): Promise<string> => {
  mkdirSync(dirname(order.log), { recursive: true });
  writeFileSync(order.log, '', { mode: 0o600 });
  const output = createOutput(order);
  let id: string | undefined;
  let failure: string | undefined;
  try {
    const stream = await engine.docker.buildImage(
      { context: order.folder, src: ['Containerfile', '_build'] },
      {
        dockerfile: 'Containerfile',
        buildargs: proxies(),
        nocache: order.noCache,
        rm: true,
        forcerm: true,
        ...(engine.hostNetwork ? { networkmode: 'host' } : {}),
      },
    );
    failure = await readMessages(engine.docker, stream, (message) => {
      id = message.aux?.ID ?? id;
      output.take(message);
    });
  } catch (error) {
    failure = wordsOf(error);
  }
  output.end();
  if (failure === undefined && id !== undefined) return `sha256:${id.replace(/^sha256:/, '')}`;
  const { step, last } = output;
  const sentences = output.sentences();
  const words = [...last(), failure ?? 'the engine named no image in the end'];
  // What the scripts in the build say is enough; of other steps their last words are needed.
  const said =
    sentences.length > 0
      ? sentences
      : [
          ...(step() ? [`${step()!.number} ${short(step()!.instruction)}`] : []),
          ...words.map((line) => `  ${line}`),
        ];
  throw new PlatformError(
    'refused',
    `The build failed:\n${said.map((line) => `  ${line}`).join('\n')}\nAll of its output: ${order.log}`,
    { details: { reason: 'build_failed', sentences } },
  );
};

/** An instruction in one short line; of our scripts the name is enough. */
export const short = (instruction: string): string => {
  const text = instruction.replace(/(sh|"\$PYCMD") \/output\/scripts\//g, '');
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
};

/** Cuts the output into lines, and keeps what tells of a failure. */
const createOutput = ({ log, onStep, onLine }: BuildOrder) => {
  let rest = '';
  let step: BuildStep | null = null;
  let last: string[] = [];
  const sentences: string[] = [];
  const line = (raw: string): void => {
    const text = plainText(raw).trimEnd();
    appendFileSync(log, `${text}\n`);
    const began = stepOf(text);
    if (began) {
      step = began;
      last = [];
      onStep(began);
    } else if (text.startsWith('gantry: ')) sentences.push(text.slice(8));
    else if (text !== '') {
      last = [...last, text].slice(-8);
      onLine(text);
    }
  };
  return {
    take: ({ stream }: EngineMessage): void => {
      const lines = `${rest}${stream ?? ''}`.split('\n');
      rest = lines.pop()!;
      lines.forEach(line);
    },
    end: (): void => (rest === '' ? undefined : line(rest)),
    step: () => step,
    last: () => last,
    sentences: () => sentences,
  };
};

/** What the build noted in the image about itself. Throws `defect` if it has not. */
export const readRecord = async (docker: Docker, image: string): Promise<BuildRecord> => {
  // Made and never started: only its files are read.
  const container = await docker.createContainer({ Image: image, Cmd: ['true'] });
  try {
    const pieces: Buffer[] = [];
    const archive = await container.getArchive({ path: '/usr/share/gantry/ee-build.json' });
    for await (const piece of archive) pieces.push(piece as Buffer);
    return BuildRecord.parse(JSON.parse(onlyFile(Buffer.concat(pieces)).toString('utf8')));
  } catch (error) {
    throw new PlatformError('defect', 'The image holds no readable record of its build.', { cause: error });
  } finally {
    await container.remove({ force: true }).catch(() => undefined);
  }
};

/** The first file of a tar: a header of 512 bytes with the size in octal digits, then the content; extended headers go before. */
const onlyFile = (tar: Buffer): Buffer => {
  for (let at = 0; at + 512 <= tar.length;) {
    const size = parseInt(tar.toString('latin1', at + 124, at + 136), 8);
    const kind = tar.toString('latin1', at + 156, at + 157);
    if (kind === '0' || kind === '\0') return tar.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new Error('no file in the archive');
};

/** Gives an image a name. */
export const tagImage = async (docker: Docker, id: string, name: string): Promise<void> => {
  const repo = repositoryOf(name);
  const tag = name.slice(repo.length + 1) || 'latest';
  await docker
    .getImage(id)
    .tag({ repo, tag })
    .catch((error: unknown) => {
      throw new PlatformError('refused', `The engine does not take the name ${name}: ${wordsOf(error)}`);
    });
};

/**
 * Pushes an image to the registry in its name; gives the digest it has there (`sha256:...`). The login is the one given, else the one
 * that podman or docker know. Throws `refused` with the registry's words.
 */
export const pushImage = async (docker: Docker, name: string, login?: RegistryAuth): Promise<string> => {
  let digest: string | undefined;
  let failure: string | undefined;
  try {
    const stream = await docker.getImage(name).push({ authconfig: login ?? authFor(name) ?? {} });
    failure = await readMessages(docker, stream, ({ aux, status }) => {
      digest ??= aux?.Digest ?? /digest: (sha256:[a-f0-9]{64})/.exec(status ?? '')?.[1];
    });
  } catch (error) {
    failure = wordsOf(error);
  }
  if (failure !== undefined)
    throw new PlatformError('refused', `${name} cannot be pushed to ${hostOf(name)}: ${failure.trim()}`, {
      details: { reason: 'push_failed' },
    });
  if (digest !== undefined) return digest;
  const found = await docker.getImage(name).inspect();
  const known = found.RepoDigests?.find((one) => one.startsWith(`${repositoryOf(name)}@`))?.split('@')[1];
  if (known) return known;
  throw new PlatformError('defect', `${name} was pushed, and the engine tells no digest of it.`);
};

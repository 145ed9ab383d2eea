/** What a container engine says of an image that it has. */
import type { ImageConfig } from '@gantry/contracts/image';
import type Docker from 'dockerode';
import type { PodDriver } from '../pod/driver.js';
import { repositoryOf } from '../domain/pull.js';
import { asEngineError, messageOf, statusOf } from './engine-errors.js';

/** `PodDriver.describeImage` for a container engine. */
export const createImageLook =
  (docker: Docker, host: string): PodDriver['describeImage'] =>
  async ({ image, digest }) => {
    // By the digest of its manifest; an image that no registry ever had is known by its own.
    for (const reference of [`${repositoryOf(image)}@${digest}`, digest]) {
      const found = await docker
        .getImage(reference)
        .inspect()
        .catch((error: unknown) => {
          if (statusOf(error) === 404 || /no such image|image not known/i.test(messageOf(error))) return null;
          throw asEngineError(error, host, 'could not look for the image');
        });
      if (found) return { reference: found.Id.replace(/^(?!sha256:)/, 'sha256:'), config: configOf(found) };
    }
    return null;
  };

const most = { words: 200, labels: 200, text: 4_096, name: 300 };

/** Cut to a bound, and text that every store takes: no NUL, no half of a character. */
const text = (value: unknown, length = most.text): string =>
  Buffer.from(String(value ?? '').replaceAll('\u0000', '').slice(0, length)).toString('utf8'); // prettier-ignore

const words = (value: unknown): string[] =>
  (Array.isArray(value) ? value : typeof value === 'string' ? [value] : [])
    .slice(0, most.words)
    .map((word) => text(word));

const configOf = (found: Docker.ImageInspectInfo): ImageConfig => {
  const { User, WorkingDir, Entrypoint, Cmd, Labels } = found.Config ?? {};
  const created = new Date(found.Created);
  return {
    sizeBytes: Math.max(0, Math.round(found.Size ?? 0)),
    architecture: text(found.Architecture, 100),
    operatingSystem: text(found.Os, 100),
    user: text(User, most.name),
    workingDirectory: text(WorkingDir),
    entrypoint: words(Entrypoint),
    command: words(Cmd),
    labels: Object.fromEntries(
      Object.entries(Labels ?? {})
        .slice(0, most.labels)
        .map(([name, value]) => [text(name, most.name), text(value)]),
    ),
    createdAt: Number.isNaN(created.getTime()) ? null : created.toISOString(),
  };
};

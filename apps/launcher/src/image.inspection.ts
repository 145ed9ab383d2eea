/**
 * Looks into images, one at a time, beside the jobs and never in their way (ADR 0021). The registry asks for it (`image.inspection_requested`):
 *
 *   asked -> the engine has the image? -> pod made and started -> over -> output read and checked -> told to the registry -> pod removed
 *
 * A launcher that dies on the way leaves the request unanswered: it comes again, and whoever takes it finds the pod by its name.
 * Whatever goes wrong is told as a failure with a reason; only where the registry cannot be told does the request come again.
 */
import { parseEvent, type EventEnvelope } from '@gantry/contracts/envelope';
import { asPlatformError, PlatformError } from '@gantry/contracts/errors';
import {
  ImageInspectionRequested,
  NoteImageContents,
  NoteImageOnEngine,
  NoteInspectionFailure,
  type ImageContents,
} from '@gantry/contracts/image';
import type { CallContext } from '@gantry/service/context';
import type { ServiceKit } from '@gantry/service/kit';
import { joinSignals } from '@gantry/service/signals';
import { reasonOf } from './job.pin.js';
import { podLabels } from './pod/description.js';
import type { PodDriver } from './pod/driver.js';
import {
  describeInspection,
  INSPECTION_MILLISECONDS,
  inspectionPodName,
  isOrphaned,
  readReport,
  REPORT_BYTES,
  withoutPython,
} from './pod/inspection.js';

/** What looking into images needs. */
export interface InspectionParts {
  kit: Pick<ServiceKit, 'call' | 'logger' | 'signal'>;
  pods: PodDriver;
  settings: { installationId: string; inspectorSource: Uint8Array };
}

/** An image that an engine has, as that of an execution environment. */
export interface ReadyForJob {
  executionEnvironmentId: string;
  image: string;
  digest: string;
}

/** Looks into images. */
export interface Inspections {
  /** Tells the registry, once; returns at once, and nothing depends on it. */
  noteOnEngine(found: ReadyForJob, context: CallContext): void;
  /** Answers a request; others are passed over. Throws when the registry cannot be told, and when the launcher stops meanwhile. */
  handle(envelope: EventEnvelope, context: CallContext): Promise<void>;
  /** Removes pods that a launcher left behind and nobody waits for. */
  sweep(): Promise<void>;
}

/** More images than a machine has; then they are told again. */
const notedAtMost = 10_000;

/** Looks into images with this driver. */
export const createInspections = (parts: InspectionParts): Inspections => {
  const { kit, pods, settings } = parts;
  const noted = new Set<string>();
  const underWay = new Set<string>();
  let last: Promise<unknown> = Promise.resolve();
  /** One after the other. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  };

  const answer = async (digest: string, image: string, context: CallContext): Promise<void> => {
    if (kit.signal.aborted) throw stopped();
    const name = inspectionPodName(digest);
    underWay.add(name);
    try {
      const contents = await look(parts, name, { digest, image });
      await kit.call(NoteImageContents, { digest, contents }, context);
    } catch (thrown) {
      if (kit.signal.aborted) throw stopped();
      const error = asPlatformError(thrown);
      if (error.code === 'defect')
        kit.logger.error({ digest, err: thrown }, 'an image could not be looked into');
      await kit.call(NoteInspectionFailure, { digest, reason: reasonOf(error) }, context);
    } finally {
      underWay.delete(name);
      if (!kit.signal.aborted)
        await pods.destroy(name).catch((error: unknown) => {
          kit.logger.warn({ pod: name, err: error }, 'a pod could not be removed; the next sweep does it');
        });
    }
  };

  return {
    noteOnEngine: (found, context) => {
      const key = `${found.executionEnvironmentId} ${found.digest}`;
      if (noted.has(key)) return;
      if (noted.size >= notedAtMost) noted.clear();
      noted.add(key);
      kit.call(NoteImageOnEngine, found, context).catch((error: unknown) => {
        noted.delete(key);
        kit.logger.warn({ digest: found.digest, err: error }, 'the registry could not be told of an image');
      });
    },
    handle: async ({ type, version, data }, context) => {
      const event = parseEvent({ ImageInspectionRequested }, { type, version, data });
      if (event) await inTurn(() => answer(event.data.digest, event.data.image, context));
    },
    sweep: async () => {
      for (const { name, labels } of await pods.list(podLabels.installation, settings.installationId)) {
        if (!labels[podLabels.inspection] || underWay.has(name) || !isOrphaned(labels, Date.now())) continue;
        kit.logger.warn({ pod: name }, 'a pod that looked into an image was left behind: removing it');
        await pods.destroy(name);
      }
    },
  };
};

const stopped = (): PlatformError =>
  new PlatformError('cancelled', 'The launcher stops; another looks into the image.');

/** Throws `refused` with the reason why nobody knows what is in the image, `unavailable` when the engine is away. */
const look = async (
  { kit, pods, settings }: InspectionParts,
  name: string,
  { digest, image }: { digest: string; image: string },
): Promise<ImageContents> => {
  const known = await pods.describeImage({ image, digest });
  if (!known) {
    throw new PlatformError(
      'refused',
      `The image ${image} (${digest}) is not on the engine that was to look into it: pull it, then ask again.`,
      { details: { reason: 'image_not_present' } },
    );
  }
  const { config, reference } = known;
  // A pod that was made and not started is from a launcher that died in between, or lacks its program.
  if ((await pods.inspect(name))?.phase === 'created') await pods.destroy(name);
  await pods.create(describeInspection(settings, { digest, reference }, Date.now()));
  try {
    if ((await pods.inspect(name))?.phase === 'created') await pods.start(name, null);
  } catch (error) {
    if (asPlatformError(error).details['reason'] !== 'command_not_found') throw error;
    return { report: withoutPython, config };
  }
  await untilOver(kit.signal, pods, name);
  return { report: readReport(await pods.output(name, REPORT_BYTES)), config };
};

const untilOver = async (signal: AbortSignal, pods: PodDriver, name: string): Promise<void> => {
  const patience = joinSignals([signal], INSPECTION_MILLISECONDS);
  const over = await pods.wait(name, patience.signal).finally(patience.release);
  if (signal.aborted) throw stopped();
  const failed = (reason: string, message: string): PlatformError =>
    new PlatformError('refused', message, { details: { reason } });
  if (!over) throw failed('pod_lost', 'The pod that looked into the image is gone: ask again.');
  if (over.phase !== 'exited') {
    throw failed(
      'timed_out',
      `The image was looked into for ${INSPECTION_MILLISECONDS / 1_000} s without an end: it was given up.`,
    );
  }
  if (over.exitCode === 0) return;
  const words = (await pods.lastWords(name)).split('\n').at(-1) ?? '';
  throw failed(
    'inspector_failed',
    `Looking into the image ended with exit code ${over.exitCode}. ${words.replace(/[\u0000-\u001f\u007f]/g, ' ').slice(0, 300)}`.trim(),
  );
};

/** Which events ask for it. */
export const inspectionTypes: string[] = [ImageInspectionRequested.type];

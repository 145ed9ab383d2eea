/** The pod that looks into an image: the inspector runs in it once, as a job would, without a network or anything secret. Pure. */
import { InspectionReport } from '@gantry/contracts/image';
import { PlatformError } from '@gantry/contracts/errors';
import { podLabels, pythonCommand, type PodDescription } from './description.js';

/** A pod that takes longer is ended. */
export const INSPECTION_MILLISECONDS = 60_000;
/** More than this no image has to say: some thirty thousand packages. */
export const REPORT_BYTES = 2 * 1024 * 1024;

const mebibyte = 1024 * 1024;

/** The same for an image at every attempt: who comes later finds the pod by it. */
export const inspectionPodName = (digest: string): string =>
  `gantry-inspect-${digest.slice(digest.indexOf(':') + 1).slice(0, 32)}`;

/** `reference`: what the engine calls the image. `now`: milliseconds since the epoch. */
export const describeInspection = (
  settings: { installationId: string; inspectorSource: Uint8Array },
  { digest, reference }: { digest: string; reference: string },
  now: number,
): PodDescription => ({
  name: inspectionPodName(digest),
  image: reference,
  command: pythonCommand(settings.inspectorSource),
  environment: {},
  labels: {
    [podLabels.installation]: settings.installationId,
    [podLabels.inspection]: digest,
    [podLabels.deadline]: String(now + 2 * INSPECTION_MILLISECONDS),
  },
  user: { uid: 1000, gid: 0 },
  memoryVolumes: [{ path: '/tmp', sizeBytes: 16 * mebibyte }],
  mounts: [],
  network: 'none',
  // Half a processor: the job that brought the image here has the rest.
  limits: { memoryBytes: 256 * mebibyte, cpus: 0.5, processes: 64 },
  graceSeconds: 1,
  logMebibytes: 8,
});

/** Nobody waits for this pod any more: whoever made it is gone. */
export const isOrphaned = (labels: Record<string, string>, now: number): boolean =>
  Number(labels[podLabels.deadline] ?? 0) < now;

/** What is told of an image without python3: the inspector cannot run in it, and no job can. */
export const withoutPython: InspectionReport = {
  format: 1,
  os: {},
  python: null,
  ansibleCore: null,
  ansibleRunner: null,
  packageManager: null,
  pythonPackages: [],
  collections: [],
  systemPackages: [],
  problems: [],
};

/** What the pod printed, as a report. The image may say anything: throws `refused` with reason output_too_large or output_invalid. */
export const readReport = ({ text, complete }: { text: string; complete: boolean }): InspectionReport => {
  if (!complete)
    throw refused(
      'output_too_large',
      `What the image says of itself is longer than ${REPORT_BYTES / mebibyte} MiB: it was not read.`,
    );
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw refused(
      'output_invalid',
      'The python3 of the image did not print a report, but something else: it was not read.',
    );
  }
  const report = InspectionReport.safeParse(document);
  if (report.success) return report.data;
  // By place and rule; what stands there is the image's word and nobody's message.
  const problems = report.error.issues
    .slice(0, 3)
    .map(({ path, message }) => `${path.slice(0, 4).join('.')}: ${message}`.slice(0, 200));
  throw refused(
    'output_invalid',
    `The report of the image is not one (${problems.join('; ')}): it was not kept.`,
  );
};

const refused = (reason: string, message: string): PlatformError =>
  new PlatformError('refused', message, { details: { reason } });

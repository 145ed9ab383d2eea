/**
 * Registry: images by digest, and what is in them. Streams `image-<hex of the digest>`.
 * An image is seen, its inspection is asked for, the launcher runs it once as a pod that looks around (docs/EXECUTION-ENVIRONMENTS.md).
 */
import { z } from 'zod';
import { command, Id, pageOf, PageRequest } from './command.js';
import { event } from './envelope.js';
import { Reason } from './job.js';

/** `sha256:` or `sha512:` with its hexadecimal digits: of an image's manifest, else of the image itself. */
export const ImageDigest = z
  .string()
  .regex(
    /^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/,
    'a digest is sha256: or sha512: with its hexadecimal digits',
  );

/** Kinds of packages. The last three are the package managers of operating systems. Each has its own order of versions. */
export const packageKinds = ['collection', 'python', 'dpkg', 'rpm', 'apk'] as const;
/** A kind of package. */
export type PackageKind = (typeof packageKinds)[number];

/** Packages of one kind in one image; the inspector lists no more. */
export const MAX_PACKAGES = 20_000;
const Text = z
  .string()
  .max(300)
  .regex(/^[^\u0000-\u001f\u007f\ud800-\udfff]*$/u, 'control characters and broken text are not allowed');
const Named = z.object({ name: Text.min(1), version: Text.min(1) });
const SystemPackage = Named.extend({ arch: Text });
const Collection = Named.extend({ path: Text });

/** What the inspector (apps/agent/inspect_image.py) prints: the image as a job sees it. */
export const InspectionReport = z.object({
  format: z.literal(1),
  /** Of /etc/os-release: ID, VERSION_ID, PRETTY_NAME. */
  os: z.object({ id: Text.optional(), version: Text.optional(), name: Text.optional() }),
  /** The Python of ansible-playbook; `default`: version of what `python3` is. Null: there is no python3. */
  python: z.object({ version: Text, executable: Text, default: Text }).nullable(),
  /** Version; `unknown` when it is there and does not tell, null when it is not there. */
  ansibleCore: Text.nullable(),
  ansibleRunner: Text.nullable(),
  packageManager: z.enum(['dpkg', 'rpm', 'apk']).nullable(),
  pythonPackages: z.array(Named).max(MAX_PACKAGES),
  collections: z.array(Collection).max(MAX_PACKAGES),
  systemPackages: z.array(SystemPackage).max(MAX_PACKAGES),
  /** What could not be read, as sentences. */
  problems: z.array(Text).max(20),
});
/** What the inspector prints. */
export type InspectionReport = z.output<typeof InspectionReport>;

/** What the engine says of the image. Environment variables are left out: people put secrets there. */
export const ImageConfig = z.object({
  /** Unpacked. */
  sizeBytes: z.number().int().min(0),
  architecture: z.string().max(100),
  operatingSystem: z.string().max(100),
  /** Empty: root. */
  user: z.string().max(300),
  workingDirectory: z.string().max(4_096),
  entrypoint: z.array(z.string().max(4_096)).max(200),
  command: z.array(z.string().max(4_096)).max(200),
  labels: z.record(z.string().max(300), z.string().max(4_096)),
  /** When the image was built; null if it does not tell. */
  createdAt: z.iso.datetime().nullable(),
});
/** What the engine says of the image. */
export type ImageConfig = z.output<typeof ImageConfig>;

/** Everything that is known of what is in an image. */
export const ImageContents = z.object({ report: InspectionReport, config: ImageConfig });
/** Everything that is known of what is in an image. */
export type ImageContents = z.output<typeof ImageContents>;

const digest = z.object({ digest: ImageDigest });
const Sighting = digest.extend({
  executionEnvironmentId: Id,
  /** By which reference. */
  image: z.string().min(1).max(1_024),
});

/** This digest is the image of this execution environment now; once for each that it is of, and once more when an engine has it. */
export const ImageSeen = event('image.seen', 1, Sighting.extend({ onEngine: z.boolean() }));
/** The launcher shall look into it. */
export const ImageInspectionRequested = event(
  'image.inspection_requested',
  1,
  digest.extend({
    image: z.string(),
    /** Because an engine has it and nobody has looked yet, or because somebody wants to know. */
    cause: z.enum(['first_sight', 'person']),
    requestedAt: z.iso.datetime(),
  }),
);
/** What is in it. */
export const ImageInspected = event('image.inspected', 1, digest.extend({ contents: ImageContents }));
/** Nobody knows what is in it, and why. */
export const ImageInspectionFailed = event('image.inspection_failed', 1, digest.extend({ reason: Reason }));
/** Events of images. */
export const imageEvents = {
  ImageSeen,
  ImageInspectionRequested,
  ImageInspected,
  ImageInspectionFailed,
};

/** A package in an image. */
export const ImagePackage = z.object({
  kind: z.enum(packageKinds),
  /** Python's in their normal form: lower case, with hyphens. */
  name: z.string(),
  version: z.string(),
  /** Architecture of a system package, folder of a collection; else empty. */
  detail: z.string(),
});
/** A package in an image. */
export type ImagePackage = z.output<typeof ImagePackage>;

/** Something about an image that a job will stumble over; the message says what to do. */
export const ImageFinding = z.object({
  code: z.enum(['no_python', 'python_too_old', 'no_ansible_core', 'no_ansible_runner']),
  message: z.string(),
});
/** Something about an image that a job will stumble over. */
export type ImageFinding = z.output<typeof ImageFinding>;

/** An image, as queries give it. */
export const Image = z.object({
  digest: ImageDigest,
  /** References by which it was seen, in the order of sight. */
  references: z.array(z.string()),
  /** Execution environments that were this image at some time and that the person may see. */
  executionEnvironmentIds: z.array(Id),
  seenAt: z.string(),
  /** none: nobody looked, for no engine has it. failed: see `failure`. After a new request the last contents stay until there are others. */
  inspection: z.enum(['none', 'requested', 'inspected', 'failed']),
  requestedAt: z.string().nullable(),
  inspectedAt: z.string().nullable(),
  failure: Reason.nullable(),
  config: ImageConfig.nullable(),
  /** Of its contents all but the packages. */
  report: InspectionReport.omit({
    pythonPackages: true,
    collections: true,
    systemPackages: true,
    format: true,
  }).nullable(),
  packageCounts: z.array(z.object({ kind: z.enum(packageKinds), count: z.number().int() })),
  findings: z.array(ImageFinding),
});
/** An image, as queries give it. */
export type Image = z.output<typeof Image>;

/** How two images differ. Keyed by kind and name; versions of a name that is there more than once are joined by a comma. */
export const ImageDifference = z.object({
  added: z.array(ImagePackage),
  removed: z.array(ImagePackage),
  changed: z.array(
    z.object({ kind: z.enum(packageKinds), name: z.string(), from: z.string(), to: z.string() }),
  ),
  /** What else differs: Python, the operating system, user, labels... null: not there. */
  properties: z.array(z.object({ name: z.string(), from: z.string().nullable(), to: z.string().nullable() })),
  /** Packages that are the same in both. */
  unchanged: z.number().int(),
});
/** How two images differ. */
export type ImageDifference = z.output<typeof ImageDifference>;

/** An engine has it, pulled or found: looked into when nobody has yet. Idempotent. */
export const NoteImageOnEngine = command('registry.image.note_on_engine', {
  callers: ['launcher'],
  input: Sighting,
  output: z.object({}),
});
/** What the launcher found in it; passed over when nobody waits for it any more. */
export const NoteImageContents = command('registry.image.note_contents', {
  callers: ['launcher'],
  input: digest.extend({ contents: ImageContents }),
  output: z.object({}),
});
/** Why the launcher could not look into it. */
export const NoteInspectionFailure = command('registry.image.note_inspection_failure', {
  callers: ['launcher'],
  input: digest.extend({ reason: Reason }),
  output: z.object({}),
});
/** Whoever may use an execution environment of this image has it looked into, again if need be. Errors: not_found, forbidden. */
export const InspectImage = command('registry.image.inspect', {
  callers: ['gateway'],
  input: digest,
  output: z.object({}),
});
/** Those of these digests that the person may see. */
export const DescribeImages = command('registry.image.describe', {
  callers: ['gateway'],
  input: z.object({ digests: z.array(ImageDigest).max(200) }),
  output: z.object({ items: z.array(Image) }),
});
/** Its packages by kind and name; `search`: part of a name. Errors: not_found. */
export const ListImagePackages = command('registry.image.list_packages', {
  callers: ['gateway'],
  input: PageRequest.extend({
    digest: ImageDigest,
    kind: z.enum(packageKinds).nullish(),
    search: z.string().max(200).nullish(),
  }),
  output: pageOf(ImagePackage),
});
/** Everything at once, for a bill of materials. Errors: not_found; refused `not_inspected`. */
export const GetImageContents = command('registry.image.contents', {
  callers: ['gateway'],
  input: digest,
  output: z.object({
    digest: ImageDigest,
    references: z.array(z.string()),
    inspectedAt: z.string(),
    contents: ImageContents,
  }),
});
/** What is in `to` and not in `from`, and the other way round. Errors: not_found; refused `not_inspected`. */
export const CompareImages = command('registry.image.compare', {
  callers: ['gateway'],
  input: z.object({ from: ImageDigest, to: ImageDigest }),
  output: ImageDifference,
});
/**
 * Which execution environments hold this package, by the digest they have now? By name and package. `version`: comparisons joined
 * by commas, all of which must hold: "< 8", ">=7.1, !=7.3.0", "8.0.1". Errors: invalid, which quotes the comparison that is wrong.
 */
export const FindPackage = command('registry.image.find_package', {
  callers: ['gateway'],
  input: PageRequest.extend({
    name: z.string().trim().min(1).max(300),
    kind: z.enum(packageKinds).nullish(),
    version: z.string().max(300).nullish(),
  }),
  output: pageOf(
    ImagePackage.extend({
      executionEnvironmentId: Id,
      executionEnvironment: z.string(),
      digest: ImageDigest,
    }),
  ),
});
/** Commands and queries about images. */
export const imageCommands = [
  NoteImageOnEngine,
  NoteImageContents,
  NoteInspectionFailure,
  InspectImage,
  DescribeImages,
  ListImagePackages,
  GetImageContents,
  CompareImages,
  FindPackage,
] as const;

/** What pods send besides chunks: docs/PROTOCOL.md 1.2. */
import { PlatformError } from '@gantry/contracts/errors';
import { finalStatuses, JobPodStarted, Reason } from '@gantry/contracts/job';
import { z } from 'zod';

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lowercase hex digits');
const counter = z.coerce
  .number()
  .int()
  .min(0)
  .max(2 ** 31 - 1);

export const StartRequest = z.object({
  publicKey: z.record(z.string().max(100), z.unknown()),
  proof: z.string().max(1_000),
  agent: JobPodStarted.data.shape.agent,
});

export const FinishRequest = z.object({
  lastCounter: counter,
  lastLine: counter,
  hash,
  status: z.enum(finalStatuses),
  exitCode: z
    .number()
    .int()
    .nullish()
    .transform((code) => code ?? null),
  reason: Reason.nullish().transform((reason) => reason ?? null),
  artifacts: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform((artifacts) => artifacts ?? {}),
});

/** Headers of `chunks`, by their lower-case names. */
export const ChunkHeaders = z
  .object({
    'gantry-first-counter': counter.min(1),
    'gantry-last-counter': counter.min(1),
    'gantry-first-line': counter,
    'gantry-last-line': counter,
    'gantry-raw-bytes': counter.min(1),
    'gantry-previous-hash': hash,
    'gantry-hash': hash,
    'content-encoding': z.literal('gzip'),
  })
  .refine(
    (headers) => headers['gantry-last-counter'] >= headers['gantry-first-counter'],
    'the last counter must not be before the first',
  )
  .refine(
    (headers) => headers['gantry-last-line'] >= headers['gantry-first-line'],
    'the last line must not be before the first',
  );

/** Reads a body or headers. Throws `invalid` with what is wrong, without quoting values. */
export const read = <S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join('.') || what}: ${issue.message}`);
  throw new PlatformError('invalid', `The ${what} is not as docs/PROTOCOL.md says. ${problems.join('; ')}.`);
};

/** A JSON body as a value. */
export const parseJson = (bytes: Buffer): unknown => {
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    throw new PlatformError('invalid', 'The body is not JSON.');
  }
};

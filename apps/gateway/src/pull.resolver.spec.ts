import type { CommandSpec } from '@gantry/contracts/command';
import { PlatformError } from '@gantry/contracts/errors';
import { GetImagePull, PruneImages, PullExecutionEnvironment, type ImagePull } from '@gantry/contracts/pull';
import { graphql } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createSchema } from './schema.js';

const schema = createSchema();
const id = '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001';
const pull: ImagePull = {
  id,
  executionEnvironmentId: id,
  organizationId: null,
  image: 'r/ee:1',
  digest: 'sha256:1',
  status: 'running',
  progress: { layers: 3, layersDone: 1, bytes: 5_000_000_000, bytesTotal: 6_000_000_000 },
  reason: null,
  requestedBy: 'ann',
  requestedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: null,
  durationMilliseconds: null,
  sizeBytes: null,
};

/** Runs a document against services that answer so. */
const run = async (
  source: string,
  answers: Record<string, (input: never) => unknown>,
): Promise<{ data: Record<string, unknown> | null | undefined; errors: string[] }> => {
  const contextValue = {
    call: async (command: CommandSpec, input: unknown) =>
      command.output.parse(answers[command.name]!(command.input.parse(input) as never)),
    load: { executionEnvironment: { load: async () => null } },
  };
  const { data, errors = [] } = await graphql({ schema, source, contextValue, variableValues: { id } });
  return { data, errors: errors.map(({ message }) => message) };
};

describe('a pull over GraphQL', () => {
  it('is asked for and looked at', async () => {
    const answers = {
      [PullExecutionEnvironment.name]: (input: { idempotencyKey: string }) => {
        expect(input).toEqual({ executionEnvironmentId: id, idempotencyKey: 'k' });
        return { pullId: id, created: true };
      },
      [GetImagePull.name]: () => pull,
    };
    const asked = await run(
      `mutation ($id: ID!) { pullExecutionEnvironment(input: { id: $id, idempotencyKey: "k" }) {
        ... on StartedImagePull { created pull { id status image progress { layers layersDone bytes bytesTotal } executionEnvironment { id } } } } }`,
      answers,
    );
    expect(asked).toEqual({
      errors: [],
      data: {
        pullExecutionEnvironment: {
          created: true,
          pull: {
            id,
            status: 'RUNNING',
            image: 'r/ee:1',
            progress: pull.progress,
            executionEnvironment: null,
          },
        },
      },
    });
  });

  it('that is not theirs to see is null, and one that is refused says why', async () => {
    const gone = { [GetImagePull.name]: () => { throw new PlatformError('not_found', 'None.'); } }; // prettier-ignore
    expect(await run('query ($id: ID!) { imagePull(id: $id) { id } }', gone)).toEqual({
      data: { imagePull: null },
      errors: [],
    });
    const refused = {
      [PullExecutionEnvironment.name]: () => {
        throw new PlatformError('refused', 'Its registry says no.', {
          details: { reason: 'registry_unauthorized' },
        });
      },
    };
    const { data } = await run(
      'mutation ($id: ID!) { pullExecutionEnvironment(input: { id: $id }) { ... on ExecutionEnvironmentRefused { code reason message } } }',
      refused,
    );
    expect(data).toEqual({
      pullExecutionEnvironment: {
        code: 'REFUSED',
        reason: 'registry_unauthorized',
        message: 'Its registry says no.',
      },
    });
  });
});

describe('a clean-up over GraphQL', () => {
  it('only tells, of the last 14 days, unless it is told otherwise', async () => {
    const seen: unknown[] = [];
    const answers = {
      [PruneImages.name]: (input: unknown) => {
        seen.push(input);
        const image = { repository: 'r/ee', digest: 'sha256:1', sizeBytes: 5_000_000_000 };
        const outcome = 'would_be_removed' as const;
        return { images: [{ ...image, lastUsedAt: pull.requestedAt, outcome, words: null }] };
      },
    };
    const { data, errors } = await run(
      'mutation { pruneImages(input: {}) { ... on PrunedImages { images { repository sizeBytes outcome } } } }',
      answers,
    );
    expect(errors).toEqual([]);
    expect(seen).toEqual([{ keepDays: 14, dryRun: true }]);
    expect(data).toEqual({
      pruneImages: {
        images: [{ repository: 'r/ee', sizeBytes: 5_000_000_000, outcome: 'WOULD_BE_REMOVED' }],
      },
    });
  });
});

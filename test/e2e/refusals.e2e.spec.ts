import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { ask, launch, over, post, subscriber, watch, world, type Job } from './api.js';
import { make, seeded } from './objects.js';

describe('without a token', () => {
  it('nothing is answered', async () => {
    const answer = await post('{ jobs { totalCount } }', {}, null);
    expect(answer.status).toBe(401);
    expect(answer.errors?.[0]).toMatchObject({
      extensions: { code: 'UNAUTHENTICATED' },
      message: expect.stringContaining('gantry token'),
    });
    expect(answer.data).toBeUndefined();
  });

  it('a wrong one is refused and not echoed', async () => {
    const wrong = `gantry_${randomUUID()}`;
    const answer = await post('{ jobs { totalCount } }', {}, wrong);
    expect(answer.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect(JSON.stringify(answer)).not.toContain(wrong);
  });

  it.each([null, `gantry_${randomUUID()}`])('no subscription is opened (%s)', async (token) => {
    const client = subscriber(token);
    await expect(watch(client, randomUUID()).next()).rejects.toMatchObject({ code: 4403 });
  });
});

describe('a user without a role', () => {
  it('sees and launches nothing', async () => {
    const job = await over(await launch('Demo Failing'));
    const userId = await make('createUser', 'CreateUserInput', {
      username: `nobody-${randomUUID().slice(0, 8)}`,
    });
    const { issueToken } = await ask<{ issueToken: { token: string } }>(
      'mutation ($userId: ID) { issueToken(input: { userId: $userId }) { token } }',
      { userId },
    );
    const theirs = await ask<{
      jobs: { nodes: [] };
      job: null;
      jobTemplates: { nodes: [] };
      credentials: { nodes: [] };
    }>(
      'query ($id: ID!) { jobs { nodes { id } } job(id: $id) { id } jobTemplates { nodes { id } } credentials { nodes { id } } }',
      { id: job.id },
      issueToken.token,
    );
    expect(theirs).toEqual({
      jobs: { nodes: [] },
      job: null,
      jobTemplates: { nodes: [] },
      credentials: { nodes: [] },
    });
    await expect(launch('Demo Job Template', {}, issueToken.token)).rejects.toThrow(/not|no /);
    await expect(watch(subscriber(issueToken.token), job.id).next()).rejects.toMatchObject([{ extensions: { code: expect.stringMatching(/FORBIDDEN|NOT_FOUND/) } }]);
    const created = await post(
      'mutation ($o: ID!) { createInventory(input: { name: "x", organizationId: $o }) { id } }',
      { o: (await seeded()).organizationId },
      issueToken.token,
    );
    expect(created.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});

describe('a pod', () => {
  const call = (jobId: string, path: string, bearer: string | null) =>
    fetch(`${world.pods}/pods/v1/jobs/${jobId}/${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'gantry-epoch': '1',
        ...(bearer && { authorization: `Bearer ${bearer}` }),
      },
      body: '{}',
    });

  it.each(['start', 'chunks', 'heartbeat', 'finish'])(
    'without a token, or with a wrong one, is refused at %s',
    async (path) => {
      const job = await over(await launch('Demo Job Template'));
      for (const bearer of [null, 'x'.repeat(43)]) {
        const answer = await call(job.id, path, bearer);
        expect([401, 403]).toContain(answer.status);
        expect(await answer.json()).toMatchObject({
          code: expect.stringMatching(/unauthenticated|forbidden/),
          message: expect.any(String),
        });
      }
    },
  );
});

import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allEvents, ask, gantry, launch, over, post, subscriber, watch, world, type Job } from './api.js';
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
    await expect(watch(subscriber(issueToken.token), job.id).next()).rejects.toMatchObject([
      { extensions: { code: expect.stringMatching(/FORBIDDEN|NOT_FOUND/) } },
    ]);
    const created = await post(
      'mutation ($o: ID!) { createInventory(input: { name: "x", organizationId: $o }) { id } }',
      { o: (await seeded()).organizationId },
      issueToken.token,
    );
    expect(created.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});

/** The bearer of a job's first pod, derived as docs/PROTOCOL.md 1.1 says, from the launcher's own key. */
const bearerOf = (jobId: string): string => {
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text);
  const key = Buffer.from(
    readFileSync(join(world.home, 'secrets', 'pod-token-key'), 'utf8').trim(),
    'base64',
  );
  const token = hmac(key, `gantry pod token:${jobId}:1`).digest('base64url');
  return hmac(token, 'gantry pod bearer').digest('base64url');
};

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

  const finished: Job[] = [];
  let running: string;

  beforeAll(async () => {
    finished.push(await over(await launch('Demo Failing')));
    running = await launch('Demo Slow', { extraVars: { seconds: 30 } });
    while ((await allEvents(running).catch(() => [])).length === 0)
      await new Promise((resolve) => setTimeout(resolve, 100));
  });
  afterAll(async () => {
    gantry('cancel', running, '--force');
    await over(running);
  });

  const refused = {
    code: expect.stringMatching(/^(unauthenticated|forbidden)$/),
    message: expect.stringMatching(/\w+ \w+/),
  };

  it.each(['start', 'chunks', 'heartbeat', 'finish'])(
    'without a token, or with a wrong one, is refused at %s',
    async (path) => {
      for (const bearer of [null, 'x'.repeat(43)]) {
        const answer = await call(running, path, bearer);
        expect([401, 403]).toContain(answer.status);
        expect(await answer.json()).toMatchObject(refused);
      }
    },
  );

  it("is let in with its own token, and with no other job's", async () => {
    const [other] = finished;
    expect((await call(running, 'heartbeat', bearerOf(running))).status).toBe(200);
    const answer = await call(running, 'heartbeat', bearerOf(other!.id));
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject(refused);
  });

  it('is refused with its own token once its job is over', async () => {
    const answer = await call(finished[0]!.id, 'heartbeat', bearerOf(finished[0]!.id));
    expect([401, 403]).toContain(answer.status);
    expect(await answer.json()).toMatchObject(refused);
  });
});

import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  adminToken,
  allEvents,
  ask,
  gantry,
  launch,
  over,
  post,
  subscriber,
  watch,
  world,
  type Batch,
} from './api.js';

/** Reads batches until `enough`, then hangs up, as a client that loses its connection does. */
const readUntil = async (
  jobId: string,
  after: number,
  enough: (batch: Batch) => boolean,
): Promise<Batch[]> => {
  const client = subscriber();
  const batches: Batch[] = [];
  try {
    for await (const { data, errors } of watch(client, jobId, after)) {
      if (errors) throw new Error(JSON.stringify(errors));
      batches.push(data!.jobOutput);
      if (enough(data!.jobOutput)) break;
    }
  } finally {
    await client.dispose();
  }
  return batches;
};

describe('watching a job live', () => {
  it('gives every event exactly once to a client that comes in the middle, goes, and comes back', async () => {
    const id = await launch('Demo Slow', { extraVars: { seconds: 6 } });
    const first = await readUntil(id, 0, ({ lastCounter }) => lastCounter >= 5);
    const rest = await readUntil(id, first.at(-1)!.lastCounter, ({ final }) => final !== null);
    const counters = [...first, ...rest].flatMap(({ events }) => events.map(({ counter }) => counter));
    const job = await over(id);
    expect(counters).toEqual(Array.from({ length: job.record!.lastCounter }, (_, index) => index + 1));
    expect(rest.at(-1)!.final).toEqual({
      count: job.record!.lastCounter,
      sha256: job.record!.sha256,
      status: 'SUCCESSFUL',
    });
  });

  it('shows output while the job runs, not after it', async () => {
    const id = await launch('Demo Slow', { extraVars: { seconds: 6 } });
    await readUntil(id, 0, ({ events }) => events.length > 0);
    const { job } = await ask<{ job: { status: string } }>('query ($id: ID!) { job(id: $id) { status } }', {
      id,
    });
    expect(job.status).toBe('RUNNING');
    await over(id);
  });

  it('is the same afterwards: history and live are one', async () => {
    const id = await launch('Demo Job Template');
    await over(id);
    const batches = await readUntil(id, 0, ({ final }) => final !== null);
    expect(batches.flatMap(({ events }) => events.map(({ stdout }) => stdout))).toEqual(
      (await allEvents(id)).map(({ stdout }) => stdout),
    );
  });

  it('tells each change of status, up to the last', async () => {
    const id = await launch('Demo Job Template');
    const client = subscriber();
    const seen: string[] = [];
    for await (const { data } of client.iterate<{ jobStatus: { status: string } }>({
      query: 'subscription ($id: ID) { jobStatus(jobId: $id) { status } }',
      variables: { id },
    })) {
      seen.push(data!.jobStatus.status);
    }
    await client.dispose();
    expect(seen.at(-1)).toBe('SUCCESSFUL');
    expect([...new Set(seen)]).toEqual(expect.arrayContaining(['RUNNING', 'SUCCESSFUL']));
  });

  it('ends with its cursor when the token is revoked, or the role lost, and for nobody else', async () => {
    const { organizations } = await ask<{ organizations: { nodes: { id: string }[] } }>(
      '{ organizations(first: 1) { nodes { id } } }',
    );
    const organizationId = organizations.nodes[0]!.id;
    const somebody = async (): Promise<{ userId: string; tokenId: string; token: string }> => {
      const { createUser } = await ask<{ createUser: { id: string } }>(
        'mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }',
        { input: { username: `watcher-${randomUUID()}`, idempotencyKey: randomUUID() } },
      );
      const role = { userId: createUser.id, organizationId, role: 'READ' };
      await ask('mutation ($input: RoleInput!) { grantRole(input: $input) { id } }', { input: role });
      const { issueToken } = await ask<{ issueToken: { id: string; token: string } }>(
        'mutation ($input: IssueTokenInput!) { issueToken(input: $input) { id token } }',
        { input: { userId: createUser.id, description: 'watches' } },
      );
      return { userId: createUser.id, tokenId: issueToken.id, token: issueToken.token };
    };
    const [revoked, demoted] = await Promise.all([somebody(), somebody()]);
    const id = await launch('Demo Slow', { extraVars: { seconds: 12 } });
    const whole = readUntil(id, 0, ({ final }) => final !== null);
    const ending = async (token: string, end: () => Promise<unknown>) => {
      const client = subscriber(token);
      let last = 0;
      try {
        for await (const { data } of watch(client, id)) {
          if (last === 0) void end();
          last = data!.jobOutput.lastCounter;
        }
        return null;
      } catch (error) {
        const [{ extensions }] = error as [{ extensions: { code: string; lastCounter: number } }];
        return { code: extensions.code, atItsCursor: extensions.lastCounter === last };
      } finally {
        await client.dispose();
      }
    };
    const ends = await Promise.all([
      ending(revoked.token, () =>
        ask('mutation ($id: ID!) { revokeToken(id: $id) }', { id: revoked.tokenId }),
      ),
      ending(demoted.token, () =>
        ask('mutation ($input: RoleInput!) { revokeRole(input: $input) { id } }', {
          input: { userId: demoted.userId, organizationId, role: 'READ' },
        }),
      ),
    ]);
    expect(ends).toEqual([
      { code: 'UNAUTHENTICATED', atItsCursor: true },
      { code: 'FORBIDDEN', atItsCursor: true },
    ]);
    expect((await whole).at(-1)!.final).toMatchObject({ status: 'SUCCESSFUL' });
  });

  it('is the same as server-sent events, as text and as a download', async () => {
    const id = await launch('Demo Job Template');
    const get = (path: string, headers = {}) =>
      fetch(new URL(`/api/jobs/${id}/${path}`, world.graphql), {
        headers: { authorization: `Bearer ${adminToken()}`, ...headers },
      });
    const stream = await (await get('events', { accept: 'text/event-stream' })).text();
    const job = await over(id);
    const counters = [...stream.matchAll(/^event: output\nid: \d+\ndata: (.*)$/gm)].flatMap(([, data]) =>
      (JSON.parse(data!) as Batch).events.map(({ counter }) => counter),
    );
    const events = await allEvents(id);
    expect(counters).toEqual(events.map(({ counter }) => counter));
    const { lastCounter, sha256 } = job.record!;
    expect(stream).toContain(
      `event: final\nid: ${lastCounter}\ndata: {"count":${lastCounter},"sha256":"${sha256}","status":"successful"}`,
    );
    expect(await (await get('events', { 'last-event-id': String(lastCounter) })).text()).not.toContain(
      'event: output',
    );
    const lines = (await (await get('events.ndjson')).text()).trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { uuid: string }).uuid)).toEqual(
      events.map(({ uuid }) => uuid),
    );
    const plain = await (await get('stdout?format=plain')).text();
    expect(plain.split('\n')).toHaveLength(job.record!.lastLine + 1);
    expect(gantry('job', id, '--stdout').stdout).toBe(plain);
    expect(gantry('job', id, '--follow').stdout).toContain(plain);
  });

  it('refuses a job that is not there', async () => {
    const { data } = await post<{ job: null }>('{ job(id: "0198f000-0000-7000-8000-000000000001") { id } }');
    expect(data).toEqual({ job: null });
    const client = subscriber();
    await expect(watch(client, '0198f000-0000-7000-8000-000000000001').next()).rejects.toMatchObject([
      { extensions: { code: 'NOT_FOUND' } },
    ]);
    await client.dispose();
  });
});

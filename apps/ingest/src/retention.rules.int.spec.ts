import { connectNats } from '@gantry/bus/connect';
import { ensureStreams } from '@gantry/bus/streams';
import { OpenRecord } from '@gantry/contracts/record';
import {
  DescribeStorage,
  ListRetentionRules,
  RemoveRetentionRule,
  SetRetentionRule,
} from '@gantry/contracts/retention';
import { startService } from '@gantry/service/boot';
import { createTestCaller, createTestIssuer, testConfig, testPrincipal } from '@gantry/service/testing';
import { startNats } from '@gantry/testkit/nats';
import { freshDatabase } from '@gantry/testkit/postgres';
import { v7 as newId } from 'uuid';
import { afterAll, describe, expect, it } from 'vitest';
import { ingestModule } from './app.module.js';
import type { IngestConfig } from './config.js';
import { keepForEver } from './retention.js';
import { adminPool, payload, provisionIngest } from './testing/world.js';

const [database, nats, issuer] = await Promise.all([freshDatabase(), startNats(), createTestIssuer()]);
const urls = await provisionIngest(database);
const setup = await connectNats({ url: nats.url, name: 'setup' });
await ensureStreams(setup);
await setup.close();
const config: IngestConfig = {
  base: testConfig({ service: 'ingest', postgresUrl: urls['ingest']!, natsUrl: nats.url, keys: issuer.keys }),
  podsHttp: { host: '127.0.0.1', port: 0 },
  podsSocket: null,
  allowUnsafe: true,
  retention: keepForEver,
  sweepSeconds: 3_600,
};
const ingest = await startService(ingestModule(config), config.base);
const [launcher, gateway] = await Promise.all(
  (['launcher', 'gateway'] as const).map((service) =>
    createTestCaller({ natsUrl: nats.url, service, issuer }),
  ),
);
const admin = adminPool(database);

afterAll(async () => {
  await Promise.all([launcher!.close(), gateway!.close()]);
  await ingest.stop();
  await admin.end();
  await nats.stop();
  await database.drop();
});

const organizationId = newId();
const reader = testPrincipal({ organizations: { [organizationId]: ['read'] } });
const stranger = testPrincipal();
describe('a retention rule', () => {
  const own = testPrincipal({ organizations: { [organizationId]: ['admin'] } });
  const jobTemplateId = newId();
  const rules = async (principal = own) => (await gateway!.call(ListRetentionRules, {}, { principal })).items;

  it('is set, shown, obeyed by the next job, and taken away by administrators of the organization', async () => {
    const { rule } = await gateway!.call(
      SetRetentionRule,
      { organizationId, keepDays: 10 },
      { principal: own },
    );
    await gateway!.call(
      SetRetentionRule,
      { organizationId, jobTemplateId, keepDays: 20 },
      { principal: own },
    );
    expect(rule).toMatchObject({ organizationId, jobTemplateId: null, keepDays: 10, setBy: own.username });
    expect((await rules()).map(({ keepDays }) => keepDays)).toEqual([10, 20]);
    const jobs = [newId(), newId()];
    for (const [index, jobId] of jobs.entries())
      await launcher!.call(OpenRecord, {
        jobId,
        epoch: 1,
        organizationId,
        jobTemplateId: index === 0 ? null : jobTemplateId,
        bearerSha256: '0'.repeat(64),
        payload,
      });
    const { rows } = await admin.query<{ days: number }>(
      `select day - (now() at time zone 'utc')::date as days from ingest.job_record where job_id = any($1) order by day`,
      [jobs],
    );
    expect(rows.map(({ days }) => days)).toEqual([12, 22]);
    await gateway!.call(RemoveRetentionRule, { organizationId, jobTemplateId }, { principal: own });
    await gateway!.call(RemoveRetentionRule, { organizationId }, { principal: own });
    expect(await rules()).toEqual([]);
    await expect(
      gateway!.call(RemoveRetentionRule, { organizationId }, { principal: own }),
    ).rejects.toMatchObject({ code: 'not_found' });
    expect(
      (
        await admin.query('select type from ingest.event_log where stream = $1 order by version', [
          `retention-${organizationId}`,
        ])
      ).rows,
    ).toEqual(['set', 'set', 'removed', 'removed'].map((what) => ({ type: `retention.rule_${what}` })));
  });
  it('is nobody else’s to set, take away or see', async () => {
    await gateway!.call(SetRetentionRule, { organizationId, keepDays: 0 }, { principal: own });
    for (const principal of [reader, stranger]) {
      const set = gateway!.call(SetRetentionRule, { organizationId, keepDays: 1 }, { principal });
      await expect(set).rejects.toMatchObject({ code: 'forbidden' });
      const removed = gateway!.call(RemoveRetentionRule, { organizationId }, { principal });
      await expect(removed).rejects.toMatchObject({ code: 'forbidden' });
      await expect(gateway!.call(DescribeStorage, {}, { principal })).rejects.toMatchObject({
        code: 'forbidden',
      });
    }
    expect((await rules(reader)).length).toBe(1);
    expect(await rules(stranger)).toEqual([]);
    await gateway!.call(RemoveRetentionRule, { organizationId }, { principal: own });
  });
});

/** A job whose days are over: archived, dropped, and told of; its archive is checked and shown without the database. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '@gantry/testkit/eventually';
import { ask, gantry, launch, over, post, world } from './api.js';

interface Retention {
  keepDays: number;
  scope: string;
  keptUntil: string | null;
  droppedAt: string | null;
  droppedBy: string | null;
  archive: { location: string; sha256: string; sizeBytes: number } | null;
}

let admin: pg.Client;
let rule: { organizationId: string; jobTemplateId: string };

beforeAll(async () => {
  const { postgres } = JSON.parse(readFileSync(join(world.home, 'ports.json'), 'utf8')) as {
    postgres: number;
  };
  const password = readFileSync(join(world.home, 'secrets', 'postgres-admin'), 'utf8').trim();
  admin = new pg.Client({
    host: '127.0.0.1',
    port: postgres,
    user: 'gantry_admin',
    password,
    database: 'gantry',
  });
  await admin.connect();
  const { jobTemplates } = await ask<{
    jobTemplates: { nodes: { id: string; name: string; organization: { id: string } }[] };
  }>('{ jobTemplates { nodes { id name organization { id } } } }');
  const template = jobTemplates.nodes.find(({ name }) => name === 'Demo Job Template')!;
  rule = { organizationId: template.organization.id, jobTemplateId: template.id };
});
afterAll(async () => {
  await post('mutation ($input: RetentionRuleInput!) { removeRetentionRule(input: $input) }', {
    input: rule,
  });
  await admin?.end();
});

const retentionOf = async (id: string): Promise<Retention> =>
  (
    await ask<{ job: { retention: Retention } }>(
      `query ($id: ID!) { job(id: $id) { retention { keepDays scope keptUntil droppedAt droppedBy archive { location sha256 sizeBytes } } } }`,
      { id },
    )
  ).job.retention;

describe('a job whose days are over', () => {
  it('is archived and dropped; the archive is the job', async () => {
    await ask('mutation ($input: SetRetentionRuleInput!) { setRetentionRule(input: $input) { keepDays } }', {
      input: { ...rule, keepDays: 7 },
    });
    const { id } = await over(await launch('Demo Job Template'));
    const printed = gantry('job', id, '--stdout').stdout;
    expect(printed.length).toBeGreaterThan(1_000);
    // Closed by the launcher a moment after it is over.
    await eventually(async () => (await retentionOf(id)).keptUntil);
    expect(await retentionOf(id)).toMatchObject({
      keepDays: 7,
      scope: 'JOB_TEMPLATE',
      droppedAt: null,
      archive: null,
    });

    // As if it had ended two months ago.
    const { rows } = await admin.query<{ day: string }>(
      `update ingest.job_record set closed_at = closed_at - interval '60 days' where job_id = $1 returning day::text as day`,
      [id],
    );
    await admin.query(`delete from ingest.record_usage where day = $1 and ended_on < current_date - 50`, [
      rows[0]!.day,
    ]);
    await admin.query(`update ingest.record_usage set ended_on = ended_on - 60 where day = $1`, [
      rows[0]!.day,
    ]);
    const gone = await eventually(
      async () => {
        const retention = await retentionOf(id);
        return retention.droppedAt === null ? null : retention;
      },
      { timeoutMs: 60_000 },
    );
    expect(gone).toMatchObject({
      droppedBy: 'kept for 7 days by the rule of its job template',
      keptUntil: null,
    });

    const said = gantry('job', id, '--stdout');
    expect(said).toMatchObject({ code: 4, stdout: '' });
    for (const part of ['was dropped on', gone.archive!.location, gone.archive!.sha256])
      expect(said.stderr).toContain(part);
    const { errors } = await post('query ($id: ID!) { job(id: $id) { events { nodes { counter } } } }', {
      id,
    });
    expect(errors).toMatchObject([{ extensions: { code: 'REFUSED' } }]);
    const file = fileURLToPath(gone.archive!.location);
    expect(gantry('verify', file)).toMatchObject({ code: 0, stdout: expect.stringContaining('intact') });
    expect(gantry('replay', file, '--speed', '100000')).toMatchObject({ code: 0, stdout: printed });

    const shown = gantry('retention');
    expect(shown.code).toBe(0);
    for (const part of ['Demo Job Template', '7 days', 'archived to file://'])
      expect(shown.stdout).toContain(part);
  });
});

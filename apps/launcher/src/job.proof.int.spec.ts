/** The life of a job, checked: its chain, and its word on the record. Bytes are changed by Postgres's superuser. */
import { randomUUID } from 'node:crypto';
import { isFinal } from '@gantry/contracts/job';
import { ReadJobStream, VerifyJobStream, type Finding } from '@gantry/contracts/proof';
import type { RunningService } from '@gantry/service/boot';
import { testPrincipal } from '@gantry/service/testing';
import { startNats } from '@gantry/testkit/nats';
import { freshDatabase, type FreshDatabase } from '@gantry/testkit/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWorld, type World } from './testing/world.js';

let database: FreshDatabase;
let world: World;
let launcher: RunningService;
let admin: pg.Client;
let jobId: string;

beforeAll(async () => {
  const nats = startNats();
  database = await freshDatabase();
  world = await createWorld({ database, nats: await nats });
  world.machine.onStart = (pod) => {
    const id = pod.description.environment['GANTRY_JOB_ID']!;
    world.neighbours.seals.set(id, world.neighbours.sealOf(id));
    world.machine.exit(pod.state.name, 0);
  };
  launcher = await world.startLauncher();
  jobId = await world.launch();
  await world.until(jobId, (job) => isFinal(job.status));
  admin = new pg.Client({ connectionString: database.adminUrl });
  await admin.connect();
  await admin.query('alter table launcher.event_log disable trigger event_log_append_only');
});
afterAll(async () => {
  await admin?.end();
  await launcher?.stop();
  await world?.close();
});

const verify = (seal = world.neighbours.seals.get(jobId)!, principal = world.alice) =>
  world.gateway.call(VerifyJobStream, { jobId, seal }, { principal });
const named = (findings: readonly Finding[]): string[] =>
  findings.map(({ part, column, version }) => `${part} ${column} ${version}`);

describe('the life of a job', () => {
  it('is intact, and says of the record what the record says', async () => {
    expect(await verify()).toMatchObject({ findings: [], finished: true });
  });

  it('does not fit another seal', async () => {
    const { streamVersion } = (
      await world.gateway.call(ReadJobStream, { jobId }, { principal: world.alice })
    ).events.find(({ type }) => type === 'job.record_sealed')!;
    const { findings } = await verify({ ...world.neighbours.seals.get(jobId)!, sha256: 'f'.repeat(64) });
    expect(named(findings)).toContain(`job_stream sha256 ${streamVersion}`);
    const gone = await world.gateway.call(VerifyJobStream, { jobId, seal: null }, { principal: world.alice });
    expect(gone.findings).toMatchObject([{ part: 'seal' }]);
  });

  it.each([
    ['content', `data = jsonb_set(data, '{status}', '"failed"')`, `data = jsonb_set(data, '{status}', '"successful"')`],
    ['hash', 'hash = set_byte(hash, 4, get_byte(hash, 4) # 1)'],
    ['previous_hash', 'previous_hash = set_byte(previous_hash, 4, get_byte(previous_hash, 4) # 1)'],
  ])('of which one byte was changed (%s) is found, and which event it is', async (column, flip, back = flip) => {
    const change = async (set: string): Promise<number> => {
      const { rows } = await admin.query<{ version: number }>(
        `update launcher.event_log set ${set} where stream = $1 and type = 'job.finished' returning version`,
        [`job-${jobId}`],
      );
      return rows[0]!.version;
    };
    const version = await change(flip);
    const { findings } = await verify();
    await change(back);
    expect(named(findings)).toEqual([`job_stream ${column} ${version}`]);
    expect((await verify()).findings).toEqual([]);
  }); // prettier-ignore

  it('is shown and checked only for who may read the job', async () => {
    const stranger = testPrincipal({ organizations: { [randomUUID()]: ['admin'] } });
    await expect(verify(undefined, stranger)).rejects.toMatchObject({ code: 'not_found' });
    await expect(world.gateway.call(ReadJobStream, { jobId }, { principal: stranger })).rejects.toMatchObject(
      { code: 'not_found' },
    );
    await expect(world.gateway.call(ReadJobStream, { jobId })).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    const reader = testPrincipal({ organizations: { [world.neighbours.organizationId]: ['read'] } });
    expect((await verify(undefined, reader)).findings).toEqual([]);
  });
});

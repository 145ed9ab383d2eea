/** The record of the demo job: checked, exported, checked offline, shown again; and damaged, here and there. */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminToken, ask, gantry, launch, over, post, world } from './api.js';
import { make } from './objects.js';

interface Verdict {
  intact: boolean;
  complete: boolean;
  events: number;
  sha256: string;
  findings: { part: string; column: string | null; firstCounter: number | null; version: number | null; message: string }[];
} // prettier-ignore

let folder: string;
let archive: string;
let jobId: string;
let admin: pg.Client;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'proof-'));
  archive = join(folder, 'job.tar');
  jobId = (await over(await launch('Demo Job Template'))).id;
  const { postgres } = JSON.parse(readFileSync(join(world.home, 'ports.json'), 'utf8')) as { postgres: number };
  const password = readFileSync(join(world.home, 'secrets', 'postgres-admin'), 'utf8').trim();
  admin = new pg.Client({ host: '127.0.0.1', port: postgres, user: 'gantry_admin', password, database: 'gantry' });
  await admin.connect();
}); // prettier-ignore
afterAll(async () => {
  await admin?.end();
  rmSync(folder, { recursive: true, force: true });
});

const verify = (target: string): Verdict & { code: number } => {
  const { code, stdout } = gantry('verify', target, '--json');
  return { code, ...(JSON.parse(stdout) as Verdict) };
};
const exportUrl = (id: string): string => world.graphql.replace(/graphql$/, `api/jobs/${id}/export`);

describe('the record of a job that is over', () => {
  it('is intact and complete in the database', () => {
    expect(verify(jobId)).toMatchObject({ code: 0, intact: true, complete: true, findings: [] });
    expect(gantry('verify', jobId).stdout).toContain('intact');
  });

  it('is exported as a file that holds the same, and any tar and sha256sum agree', () => {
    const { code, stdout } = gantry('export', jobId, '-o', archive);
    expect(stdout).toContain('intact');
    expect(code).toBe(0);
    expect(existsSync(`${archive}.partial`)).toBe(false);
    const [here, there] = [verify(archive), verify(jobId)];
    expect(here).toMatchObject({ code: 0, intact: true, complete: true });
    expect([here.events, here.sha256]).toEqual([there.events, there.sha256]);
    const unpacked = mkdtempSync(join(folder, 'unpacked-'));
    execFileSync('tar', ['xf', archive, '-C', unpacked]);
    const sums = execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: join(unpacked, `gantry-job-${jobId}`) });
    expect(sums.toString()).not.toContain('FAILED');
  }); // prettier-ignore

  it('is exported again to the same bytes', () => {
    const again = join(folder, 'again.tar');
    gantry('export', jobId, '-o', again);
    expect(readFileSync(again).equals(readFileSync(archive))).toBe(true);
  });

  it('is shown again from the file and from the server as it was printed', () => {
    const { stdout } = gantry('job', jobId, '--stdout');
    expect(stdout.length).toBeGreaterThan(1_000);
    for (const target of [archive, jobId])
      expect(gantry('replay', target, '--speed', '100000')).toMatchObject({ code: 0, stdout });
    const late = gantry('replay', archive, '--speed', '100000', '--from', '80').stdout;
    expect(late.length).toBeGreaterThan(0);
    expect(stdout.endsWith(late)).toBe(true);
  });

  it('has no secret of this installation in its file', () => {
    const content = readFileSync(archive);
    expect(content.includes(adminToken())).toBe(false);
    for (const name of ['postgres-admin', 'pod-token-key'])
      expect(content.includes(readFileSync(join(world.home, 'secrets', name), 'utf8').trim())).toBe(false);
  });
});

describe('who may not see a job', () => {
  it('neither checks nor exports it', async () => {
    const userId = await make('createUser', 'CreateUserInput', { username: `nobody-${randomUUID().slice(0, 8)}` });
    const { issueToken } = await ask<{ issueToken: { token: string } }>(
      'mutation ($userId: ID) { issueToken(input: { userId: $userId }) { token } }',
      { userId },
    );
    const answer = await post('query ($id: ID!) { verifyJob(id: $id) { cursor } }', { id: jobId }, issueToken.token);
    expect(answer.errors?.[0]?.extensions.code).toMatch(/FORBIDDEN|NOT_FOUND/);
    for (const [token, status] of [[issueToken.token, 404], [`gantry_${randomUUID()}`, 401]] as const) {
      const response = await fetch(exportUrl(jobId), { headers: { authorization: `Bearer ${token}` } });
      expect(response.status).toBe(status);
    }
  }); // prettier-ignore
});

describe('a flipped byte', () => {
  it('in the file is found and named', () => {
    const bytes = readFileSync(archive);
    const at = (text: string): number => bytes.indexOf(text);
    // In the header of its first chunk, whose content is shorter than one block.
    const chunk = at('chunks/0000000001.ndjson.gz');
    const places: [offset: number, says: RegExp][] = [
      [1, /tar header of README\.txt/],
      [512 + 10, /README\.txt was changed/],
      [at('"job.pinned"') + 30, /Event \d+ .*job-|Line \d+ of job\.ndjson/],
      [chunk + 130, /tar header of chunks/],
      [chunk + 512, /Chunk of events 1 to/],
      [chunk + 940, /padding after/],
      [at('"chunks": [') + 40, /manifest\.json/],
      [at('README.txt\n') - 20, /SHA256SUMS/],
      [bytes.length - 1, /end of the archive/],
    ];
    for (const [offset, says] of places) {
      const file = openSync(archive, 'r+');
      writeSync(file, Buffer.from([bytes[offset]! ^ 1]), 0, 1, offset);
      const verdict = verify(archive);
      writeSync(file, bytes, offset, 1, offset);
      closeSync(file);
      expect(verdict, `byte ${offset}`).toMatchObject({ code: 1, intact: false });
      expect(verdict.findings.map(({ message }) => message).join('\n')).toMatch(says);
    }
    expect(verify(archive).code).toBe(0);
  });

  it('in the database is found and named, also in the life of the job', async () => {
    const touch = async (sql: string): Promise<void> => {
      const { rowCount } = await admin.query(sql.replaceAll(':job', `'${jobId}'`));
      expect(rowCount).toBe(1);
    };
    const payload = `update ingest.job_chunk set payload = set_byte(payload, 20, get_byte(payload, 20) # 1) where job_id = :job and first_counter = 1`;
    await touch(payload);
    const damaged = verify(jobId);
    await touch(payload);
    expect(damaged).toMatchObject({ code: 1, findings: [{ part: 'CHUNK', firstCounter: 1, column: 'payload' }] });

    // The log refuses its own administrator, until its trigger is taken away.
    const status = (value: string) =>
      `update launcher.event_log set data = jsonb_set(data, '{status}', '"${value}"') where stream = 'job-' || :job and type = 'job.finished'`;
    await expect(touch(status('failed'))).rejects.toThrow(/append-only/);
    await admin.query('alter table launcher.event_log disable trigger event_log_append_only');
    await touch(status('failed'));
    const rewritten = verify(jobId);
    await touch(status('successful'));
    await admin.query('alter table launcher.event_log enable always trigger event_log_append_only');
    expect(rewritten).toMatchObject({ code: 1, findings: [{ part: 'JOB_STREAM', column: 'content' }] });
    expect(verify(jobId).code).toBe(0);
  }); // prettier-ignore
});

describe('a job that runs', () => {
  it('is not exported, and checked as far as it is', async () => {
    const id = await launch('Demo Job Template');
    const { code, stderr } = gantry('export', id, '-o', join(folder, 'early.tar'));
    expect([code, stderr]).toEqual([4, expect.stringContaining('not over')]);
    expect(verify(id)).toMatchObject({ code: 0, intact: true, complete: false });
    await over(id);
  });
});

/** `GANTRY_POSTGRES_URL` and `GANTRY_NATS_URL`: somebody else's servers in place of the embedded ones. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { startNats, type NatsServer } from '@gantry/testkit/nats';
import { startPostgres, type PostgresServer } from '@gantry/testkit/postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { world } from './api.js';

describe("Gantry on somebody else's Postgres and NATS", () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  const gantry = (args: string[], env: NodeJS.ProcessEnv = {}) =>
    spawnSync(join(world.root, 'gantry'), args, {
      env: {
        ...process.env,
        GANTRY_HOME: join(world.home, 'own-servers'),
        GANTRY_POSTGRES_URL: postgres.adminUrl,
        GANTRY_NATS_URL: nats.url,
        ...env,
      },
      encoding: 'utf8',
    });

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres(), startNats()]);
    gantry(['reset', '--yes']);
  });
  afterAll(async () => {
    gantry(['down']);
    await Promise.all([postgres?.stop(), nats?.stop()]);
  });

  it('does not start on a Postgres that may forget what it committed, and says which setting it is', () => {
    const { status, stderr } = gantry(['up', '--detach']);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/fsync/);
    gantry(['down']);
  });

  it('runs a job there, without servers of its own', () => {
    // The tests' Postgres runs without fsync: fast, and nobody's data.
    const up = gantry(['up', '--detach'], { GANTRY_INGEST_ALLOW_UNSAFE: '1' });
    expect(up.status, up.stderr).toBe(0);
    const launched = gantry(['launch', 'Demo Job Template', '--follow']);
    expect(launched.status, launched.stderr).toBe(0);
    expect(launched.stdout).toContain('PLAY RECAP');
    const { parts } = JSON.parse(gantry(['status', '--json']).stdout) as { parts: Record<string, unknown> };
    expect(Object.keys(parts)).toEqual(expect.not.arrayContaining(['postgres', 'nats']));
  });
});

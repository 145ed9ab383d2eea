import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from './eventually.js';
import { logTail, startGuarded } from './guarded-process.js';

const folder = (): string => mkdtempSync(join(tmpdir(), 'gantry-test-guard-'));
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);
const writesItsPid = ['/bin/sh', '-c', 'echo $$ > pid.new; mv pid.new pid; exec sleep 600'];
const pidIn = (directory: string): Promise<number> =>
  eventually(
    () => existsSync(join(directory, 'pid')) && Number(readFileSync(join(directory, 'pid'), 'utf8')),
  );

describe('a guarded process', () => {
  it('is stopped, and its folder removed, when its owner is killed', async () => {
    const owner = spawn('sleep', ['600'], { stdio: 'ignore' });
    const directory = folder();
    startGuarded({ command: writesItsPid, ownerPid: owner.pid!, directory, stopSignal: 'TERM' });
    const pid = await pidIn(directory);
    owner.kill('SIGKILL');
    await eventually(() => !isAlive(pid) && !existsSync(directory), {
      what: 'the end of the process and its folder',
    });
  });

  it('is stopped by stop, once and again', async () => {
    const directory = folder();
    const { stop } = startGuarded({
      command: writesItsPid,
      ownerPid: process.pid,
      directory,
      stopSignal: 'TERM',
    });
    const pid = await pidIn(directory);
    await Promise.all([stop(), stop()]);
    expect([isAlive(pid), existsSync(directory)]).toEqual([false, false]);
  });

  it('leaves a mark and its log when it ends by itself', async () => {
    const directory = folder();
    const { stop } = startGuarded({
      command: ['/bin/sh', '-c', 'echo no such thing; exit 1'],
      ownerPid: process.pid,
      directory,
      stopSignal: 'TERM',
    });
    await eventually(() => existsSync(join(directory, 'exited')));
    expect(logTail(directory)).toContain('no such thing');
    await stop();
    expect(existsSync(directory)).toBe(false);
  });
});

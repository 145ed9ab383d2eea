import { describe, expect, it } from 'vitest';
import { AFTER, planFor, runSteps } from './plan.mjs';

describe('what a command needs', () => {
  it('is nothing for help and doctor', () => {
    for (const args of [[], ['--help'], ['help'], ['demo', '--help'], ['doctor', '-h']]) {
      expect(planFor(args)).toEqual({ own: 'help', steps: [] });
    }
    expect(planFor(['doctor', '--json'])).toEqual({ own: 'doctor', steps: [] });
  });

  it('is nothing for what does not exist', () => {
    for (const args of [['nosuch'], ['--nonsense'], ['nosuch', '--help']]) {
      expect(planFor(args)).toEqual({ own: 'usage', steps: [] });
    }
  });

  it('is the code alone for what talks to a running system', () => {
    for (const command of ['status', 'jobs', 'job', 'launch', 'relaunch', 'down', 'token', 'reset']) {
      expect(planFor([command, '--json']).steps).toEqual(['npm', 'build']);
    }
  });

  it('is the whole machine for what starts one', () => {
    for (const command of ['demo', 'up', 'bench']) {
      const { steps } = planFor([command]);
      expect(steps).toContain('machine');
      expect(steps).toContain('ee');
      expect(steps).not.toContain('sshd');
    }
    expect(planFor(['test']).steps).toContain('sshd');
  });
});

describe('the steps', () => {
  const gate = () => {
    let open = () => {};
    const wait = new Promise((resolve) => {
      open = () => resolve(undefined);
    });
    return { wait, open };
  };

  it('run after those they need, and at once where they need nothing of each other', async () => {
    const seen = [];
    const npm = gate();
    const running = runSteps(['build', 'npm', 'packages'], AFTER, async (step) => {
      seen.push(step);
      if (step === 'npm') await npm.wait;
      if (step === 'packages') npm.open();
    });
    await running;
    expect(seen).toEqual(['npm', 'packages', 'build']);
  });

  it('begin no further one after a failure, and wait for those that run', async () => {
    const seen = [];
    const npm = gate();
    let finished = false;
    const perform = async (step) => {
      seen.push(step);
      if (step === 'packages') throw new Error('no packages');
      if (step === 'npm') {
        await npm.wait;
        finished = true;
      }
    };
    await expect(runSteps(['npm', 'packages', 'build', 'ee'], AFTER, perform, npm.open)).rejects.toThrow(
      'no packages',
    );
    expect(finished).toBe(true);
    expect(seen).toEqual(['npm', 'packages']);
  });

  it('name only steps that exist', () => {
    for (const before of Object.values(AFTER)) for (const name of before) expect(AFTER).toHaveProperty(name);
  });
});

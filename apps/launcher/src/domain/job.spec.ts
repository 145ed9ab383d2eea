import { jobEvents } from '@gantry/contracts/job';
import { makeEvent } from '@gantry/contracts/envelope';
import { givenFor } from '@gantry/testkit/given';
import { describe, expect, it } from 'vitest';
import { decideJob, evolveJob, noJob, type JobCommand, type JobEvent } from './job.js';

const given = givenFor({ initial: noJob, decide: decideJob, evolve: evolveJob });
const jobId = '0193f000-0000-7000-8000-000000000001';
const id = '0193f000-0000-7000-8000-000000000002';
const alice = { userId: id, username: 'alice' };
const hash = 'a'.repeat(64);
const object = { sha256: hash, sizeBytes: 1 };

const snapshot = {
  name: 'Deploy', description: '', organizationId: id, jobType: 'run' as const, projectId: id, playbook: 'site.yml', scmBranch: '', credentialIds: [],
  executionEnvironmentId: null, extraVars: {}, limit: '', forks: 0, verbosity: 0, jobTags: '', skipTags: '', diffMode: false, becomeEnabled: false,
  timeoutSeconds: 0, allowSimultaneous: false, jobTemplateId: id, jobTemplateVersion: 1, inventoryId: id, projectName: 'p', inventoryName: 'i',
}; // prettier-ignore
const request: JobCommand = {
  kind: 'request',
  data: { jobId, snapshot, prompts: {}, launchType: 'manual', launchedBy: alice, idempotencyKey: 'k' },
};
const pinWith = (
  credentials: { id: string; version: number; name: string; credentialType: string }[],
): JobCommand => ({
  kind: 'pin',
  data: {
    image: {
      executionEnvironmentId: id,
      name: 'ee',
      image: 'localhost/ee:1',
      digest: null,
      pull: 'never',
      reason: 'the default',
    },
    project: { projectId: id, branch: 'main', commit: 'c0ffee', archive: object },
    inventory: { inventoryId: id, object, totalHosts: 3 },
    credentials,
  },
});
const pin = pinWith([]);
const dispatch: JobCommand = { kind: 'dispatch', instanceGroup: 'default' };
const cached: JobCommand = { kind: 'image cached', data: { image: 'localhost/ee:1', digest: 'sha256:1' } };
const podCreated: JobCommand = { kind: 'pod created', epoch: 1, pod: 'gantry-1', driver: 'container' };
const spoke: JobCommand = { kind: 'agent spoke', epoch: 1, agent: { version: '1', mode: 'direct' } };
const podGone: JobCommand = {
  kind: 'pod destroyed',
  data: { epoch: 1, pod: 'gantry-1', exitCode: 0, oomKilled: false, detail: '' },
};
const finish: JobCommand = { kind: 'finish', durationMilliseconds: 1_000 };
const fail: JobCommand = {
  kind: 'fail',
  reason: { code: 'image_not_found', message: 'No such image.' },
  durationMilliseconds: 0,
};
const cancel = (force = false): JobCommand => ({
  kind: 'cancel',
  by: { userId: id, username: 'bob' },
  force,
});
type Seal = Extract<JobCommand, { kind: 'seal' }>['seal'];
const seal = (said: Partial<Seal> = {}): JobCommand => ({
  kind: 'seal',
  seal: {
    epoch: 1,
    lastCounter: 12,
    lastLine: 20,
    sha256: hash,
    status: 'successful',
    exitCode: 0,
    reason: null,
    artifacts: {},
    ...said,
  },
});

/** The events that these commands lead to, each of them as its contract wants it. */
const after = (...commands: JobCommand[]): JobEvent[] =>
  commands.reduce<JobEvent[]>((events, command) => {
    const decided = decideJob(events.reduce(evolveJob, noJob), command);
    const specs = Object.values(jobEvents);
    decided.forEach((event) =>
      makeEvent(
        specs.find((spec) => spec.type === event.type)!,
        id,
        event.data as never,
      ),
    );
    return [...events, ...decided];
  }, []);
const types = (events: readonly JobEvent[]): string[] => events.map((event) => event.type);
const last = (...commands: JobCommand[]): JobEvent | undefined => after(...commands).at(-1);

const requested = [request];
const pinned = [...requested, pin];
const dispatched = [...pinned, dispatch];
const withPod = [...dispatched, cached, podCreated];
const running = [...withPod, spoke];
const sealed = [...running, seal()];
const gone = [...sealed, podGone];
const finished = [...gone, finish];

describe('a job', () => {
  it('goes its whole way', () => {
    expect(types(after(...finished))).toEqual([
      'job.requested', 'job.pinned', 'job.dispatched', 'job.image_cached', 'job.pod_created', 'job.pod_started', 'job.record_sealed',
      'job.pod_destroyed', 'job.finished',
    ]); // prettier-ignore
    expect(last(...finished)).toMatchObject({
      data: {
        status: 'successful',
        reason: null,
        lastCounter: 12,
        sha256: hash,
        durationMilliseconds: 1_000,
      },
    });
  });

  it.each([
    ['pending', 'requested', requested],
    ['pending', 'pinned', pinned],
    ['waiting', 'dispatched', dispatched],
    ['waiting', 'dispatched', withPod],
    ['running', 'running', running],
    ['running', 'sealed', sealed],
    ['successful', 'finished', finished],
  ] as const)('is %s while %s', (status, phase, commands) => {
    expect(given(after(...commands)).state()).toMatchObject({ status, phase });
  });

  it('passes over what it knows', () => {
    for (const commands of [requested, pinned, dispatched, withPod, running, sealed, gone]) {
      // A dispatch is decided under a lock, once.
      if (commands !== dispatched)
        given(after(...commands))
          .when(commands.at(-1)!)
          .thenNothing();
    }
  });

  it('waits and says for what, once', () => {
    const wait: JobCommand = {
      kind: 'wait',
      reason: { code: 'capacity', message: 'Waits for a place: 10 of 10 are taken.' },
    };
    expect(types(after(...pinned, wait, wait))).toEqual(['job.requested', 'job.pinned', 'job.queued']);
    expect(given(after(...pinned, wait, dispatch)).state()).toMatchObject({
      phase: 'dispatched',
      waitsFor: null,
    });
  });

  it('does not get a place before it is pinned', () =>
    given(after(...requested))
      .when(dispatch)
      .thenThrows('defect'));
  it('is not there before it is requested', () => given([]).when(dispatch).thenThrows('not_found'));
  it('gets its pod even if the agent was heard first', () => {
    expect(types(after(...dispatched, spoke, podCreated)).slice(3)).toEqual([
      'job.pod_started',
      'job.pod_created',
    ]);
  });
  it('tells of a pull once', () => {
    const began: JobCommand = { kind: 'image pull started', image: 'x' };
    const pulled: JobCommand = {
      kind: 'image pulled',
      data: { image: 'x', digest: 'sha256:2', durationMilliseconds: 5, attempts: 2, sizeBytes: 9 },
    };
    const reason = { code: 'image_registry_unreachable', message: 'Away.' };
    const progress = { layers: 2, layersDone: 1, bytes: null, bytesTotal: null };
    const during: JobCommand[] = [
      { kind: 'image pull progressed', data: { image: 'x', progress } },
      { kind: 'image pull retried', data: { image: 'x', attempt: 1, reason, pauseMilliseconds: 1_000 } },
    ];
    const told = [...during, began, began, ...during, pulled, pulled, cached, began, ...during];
    expect(types(after(...dispatched, ...told)).slice(3)).toEqual([
      'job.image_pull_started', 'job.image_pull_progressed', 'job.image_pull_retried', 'job.image_pulled',
    ]); // prettier-ignore
  });
  it('tells of a redemption only if there was something to redeem', () => {
    const redeemed: JobCommand = { kind: 'credentials redeemed', epoch: 1, thumbprint: 't' };
    given(after(...running))
      .when(redeemed)
      .thenNothing();
    const withCredential = after(
      request,
      pinWith([{ id, version: 1, name: 'key', credentialType: 'ssh' }]),
      dispatch,
      redeemed,
      redeemed,
    );
    expect(types(withCredential).slice(3)).toEqual(['job.credentials_redeemed']);
  });
  it('does not listen to another attempt', () => {
    for (const command of [
      { ...podCreated, epoch: 2 },
      { ...spoke, epoch: 0 },
      seal({ epoch: 2 }),
    ] as JobCommand[]) {
      given(after(...dispatched))
        .when(command)
        .thenNothing();
    }
  });
  it('sounds an alarm even after its end', () => {
    const alarm: JobCommand = { kind: 'credential alarm', epoch: 1, reason: 'already_redeemed' };
    expect(types(after(...finished, alarm)).at(-1)).toBe('job.credential_alarm');
  });
});

describe('a job whose record is sealed', () => {
  const end = (said: Partial<Seal>, ...before: JobCommand[]): unknown =>
    last(...running, ...before, seal(said), podGone, finish)?.data;
  it.each(['successful', 'failed', 'error'] as const)('is %s if its agent said so', (status) => {
    expect(end({ status, reason: { code: 'c', message: 'm' } })).toMatchObject({
      status,
      reason: { code: 'c' },
    });
  });
  it('is an error with the reason of the pod if its agent said nothing', () => {
    const reason = { code: 'killed', message: 'The pod ended without a final message: exit code 137.' };
    expect(end({ status: null, exitCode: null, reason })).toMatchObject({
      status: 'error',
      reason,
      lastCounter: 12,
    });
  });
  it('is an error even if nobody knows why', () => {
    expect(end({ status: null, reason: null })).toMatchObject({
      status: 'error',
      reason: { code: 'no_final_message' },
    });
  });
  it('is canceled if that was asked for and the agent obeyed, was stopped, or said nothing', () => {
    const stopped = { status: 'error' as const, reason: { code: 'pod_stopped', message: 'told to stop' } };
    for (const said of [{ status: 'canceled' as const }, stopped, { status: null }]) {
      expect(end(said, cancel())).toMatchObject({
        status: 'canceled',
        reason: { code: 'canceled', message: expect.stringContaining('bob') },
      });
    }
  });
  it('is successful if the playbook was faster than the cancel', () =>
    expect(end({}, cancel())).toMatchObject({ status: 'successful' }));
  it('is an error if it was stopped and nobody had asked', () => {
    expect(end({ status: 'canceled' })).toMatchObject({ status: 'error', reason: { code: 'pod_stopped' } });
  });
  it('does not finish before its pod is gone', () =>
    given(after(...sealed))
      .when(finish)
      .thenThrows('defect'));
  it('does not finish before it is sealed', () =>
    given(after(...running))
      .when(finish)
      .thenThrows('defect'));
  it('finishes without a pod if it never had one', () => {
    expect(last(...dispatched, seal({ status: null }), finish)).toMatchObject({ data: { status: 'error' } });
  });
  it('does not fail', () =>
    given(after(...sealed, podGone))
      .when(fail)
      .thenThrows('defect'));
});

describe('a job that cannot go on', () => {
  it.each([['requested', requested], ['pinned', pinned], ['dispatched', dispatched]] as const)('fails while %s', (_, commands) => {
    expect(last(...commands, fail)).toMatchObject({ type: 'job.finished', data: { status: 'error', reason: { code: 'image_not_found' }, lastCounter: 0, sha256: null } });
  }); // prettier-ignore
  it('does not fail while it has a pod', () =>
    given(after(...withPod))
      .when(fail)
      .thenThrows('defect'));
  it('is canceled if that was asked for', () =>
    expect(last(...dispatched, cancel(), fail)).toMatchObject({ data: { status: 'canceled' } }));
});

describe('a cancel', () => {
  it.each([['requested', requested], ['pinned', pinned]] as const)('ends a job that is %s at once', (_, commands) => {
    expect(types(after(...commands, cancel())).slice(commands.length)).toEqual(['job.cancel_requested', 'job.finished']);
    expect(last(...commands, cancel())).toMatchObject({ data: { status: 'canceled', reason: { message: 'Canceled by bob before it had started.' } } });
  }); // prettier-ignore
  it.each([['dispatched', dispatched], ['made a pod', withPod], ['running', running], ['sealed', sealed]] as const)('is noted when the job has %s', (_, commands) => {
    expect(types(after(...commands, cancel(), cancel()))).toHaveLength(after(...commands).length + 1);
    expect(given(after(...commands, cancel())).state().cancel).toEqual({ username: 'bob', force: false });
  }); // prettier-ignore
  it('may become forceful', () =>
    expect(given(after(...running, cancel(), cancel(true), cancel())).state().cancel?.force).toBe(true));
  it('is refused once the job is over', () => {
    expect(
      given(after(...finished))
        .when(cancel())
        .thenThrows('refused', 'finished'),
    ).toContain('successful');
  });
});

describe('a finished job', () => {
  it('does not change any more', () => {
    for (const command of [pin, dispatch, cached, podCreated, spoke, seal(), podGone, finish, fail])
      given(after(...finished))
        .when(command)
        .thenNothing();
  });
});

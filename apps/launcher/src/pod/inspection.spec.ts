import { describe, expect, it } from 'vitest';
import {
  describeInspection,
  inspectionPodName,
  isOrphaned,
  readReport,
  withoutPython,
} from './inspection.js';

const digest = `sha256:${'ab'.repeat(32)}`;

describe('the pod that looks into an image', () => {
  const settings = { installationId: 'i', inspectorSource: Buffer.from('pass') };
  const pod = describeInspection(settings, { digest, reference: 'sha256:1' }, 1_000);
  it('has a name that follows from the digest, and nothing that a job has', () => {
    expect(pod).toMatchObject({
      name: inspectionPodName(digest),
      network: 'none',
      mounts: [],
      environment: {},
      labels: { 'gantry.installation': 'i', 'gantry.inspection': digest, 'gantry.deadline': '121000' },
    });
    expect(pod.labels).not.toHaveProperty('gantry.job');
    expect(pod.name.length).toBeLessThanOrEqual(63);
  });
  it('is orphaned after its deadline', () => {
    expect(isOrphaned(pod.labels, 120_000)).toBe(false);
    expect(isOrphaned(pod.labels, 122_000)).toBe(true);
    expect(isOrphaned({}, 1)).toBe(true);
  });
});

describe('a report', () => {
  const read = (document: unknown, complete = true) =>
    readReport({ text: typeof document === 'string' ? document : JSON.stringify(document), complete });
  it('is read when it is one', () => expect(read(withoutPython)).toEqual(withoutPython));
  it.each([
    ['{', 'output_invalid'],
    [{ ...withoutPython, format: 2 }, 'output_invalid'],
    [{ ...withoutPython, os: { name: 'a\u0000b' } }, 'output_invalid'],
    [{ ...withoutPython, os: { name: 'a\ud800' } }, 'output_invalid'],
    [{ ...withoutPython, pythonPackages: Array(20_001).fill({ name: 'a', version: '1' }) }, 'output_invalid'],
  ])('is refused otherwise, in words of ours', (document, reason) => {
    expect(() => read(document)).toThrow(
      expect.objectContaining({ code: 'refused', details: { reason } }) as Error,
    );
  });
  it('is refused when it is cut', () => {
    expect(() => read(withoutPython, false)).toThrow('longer than 2 MiB');
  });
});

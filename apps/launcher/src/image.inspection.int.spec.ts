import { randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageContents } from '@gantry/contracts/image';
import type { Reason } from '@gantry/contracts/job';
import type { CallContext } from '@gantry/service/context';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createContainerDriver } from './adapters/container-engine.js';
import { createInspections, type InspectionParts } from './image.inspection.js';
import { podLabels } from './pod/description.js';
import type { PodDriver } from './pod/driver.js';
import { describeInspection } from './pod/inspection.js';
import { eeImage, engineEnvironment, startEngine, type TestEngine } from './testing/engine.js';
import { pulling } from './testing/pod-driver-contract.js';

const inspectorSource = readFileSync(new URL('../../agent/inspect_image.py', import.meta.url));
const never = new AbortController().signal;
const tags: string[] = [];

/** Imports a tree as an image, or commits changes onto one; removed after the tests. */
const build = (name: string, containerfile: string): string => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-inspection-'));
  const tag = `localhost/gantry-test-${name}-${randomUUID().slice(0, 8)}:1`;
  writeFileSync(join(folder, 'Containerfile'), containerfile);
  writeFileSync(join(folder, 'empty'), '');
  execFileSync(
    'podman',
    ['build', '--isolation', 'chroot', '--no-cache', '--layers=false', '-q', '-t', tag, folder],
    {
      env: engineEnvironment,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  rmSync(folder, { recursive: true });
  tags.push(tag);
  return tag;
};

describe.skipIf(!eeImage)('looking into an image', () => {
  const installationId = randomUUID();
  let engine: TestEngine;
  let pods: PodDriver;
  let answers: { command: string; input: { digest: string; contents?: ImageContents; reason?: Reason } }[];
  let parts: InspectionParts;

  beforeAll(async () => {
    engine = await startEngine();
    pods = createContainerDriver(engine.host);
    parts = {
      pods,
      settings: { installationId, inspectorSource },
      kit: {
        signal: never,
        logger: { warn: () => undefined, error: () => undefined } as never,
        call: (async (command: { name: string }, input: never) => {
          answers.push({ command: command.name, input });
          return {};
        }) as never,
      },
    };
  });
  afterAll(async () => {
    for (const tag of tags)
      execFileSync('podman', ['rmi', '-f', tag], { env: engineEnvironment, stdio: 'ignore' });
    await engine?.stop();
  });

  const digestOf = async (image: string): Promise<string> => {
    const wanted = { image, digest: null, pull: 'never' as const };
    return (await pods.ensureImage(wanted, pulling())).digest;
  };
  const leftBehind = async () => (await pods.list(podLabels.installation, installationId)).length;
  const request = (image: string, digest: string) => ({
    type: 'image.inspection_requested',
    version: 1,
    data: { digest, image, cause: 'person', requestedAt: new Date().toISOString() },
  });
  const lookInto = async (image: string, digest?: string, with_ = parts) => {
    answers = [];
    const envelope = request(image, digest ?? (await digestOf(image))) as never;
    await createInspections(with_).handle(envelope, {} as CallContext);
    expect(answers).toHaveLength(1);
    expect(await leftBehind()).toBe(0);
    return answers[0]!.input;
  };

  it('tells what the execution environment of this machine is made of', async () => {
    const { contents, digest } = await lookInto(eeImage!);
    expect(digest).toBe(await digestOf(eeImage!));
    expect(contents!.report).toMatchObject({
      python: { version: expect.stringMatching(/^3\.\d+/) as string },
      ansibleCore: expect.stringMatching(/^2\.\d+/) as string,
      ansibleRunner: expect.stringMatching(/^2\.\d+/) as string,
      problems: [],
    });
    const { pythonPackages, systemPackages } = contents!.report;
    expect(pythonPackages.map(({ name }) => name)).toContain('ansible-core');
    expect(systemPackages.length).toBeGreaterThan(50);
    expect(contents!.config).toMatchObject({
      operatingSystem: 'linux',
      labels: { 'dev.gantry.recipe': expect.any(String) as string },
    });
  });

  it('tells two images apart that differ by one package and a collection', async () => {
    const manifest = '{"collection_info": {"namespace": "community", "name": "general", "version": "7.5.0"}}';
    const image = build(
      'changed',
      `FROM ${eeImage}\nUSER 0\n` +
        `RUN sed -i '/^Package: git$/,/^$/s/^Version: .*/Version: 1:9.9.9-1/' /var/lib/dpkg/status\n` +
        `RUN mkdir -p /usr/share/ansible/collections/ansible_collections/community/general && ` +
        `echo '${manifest}' > /usr/share/ansible/collections/ansible_collections/community/general/MANIFEST.json\nUSER 1000\n`,
    );
    const [before, after] = [
      (await lookInto(eeImage!)).contents!.report,
      (await lookInto(image)).contents!.report,
    ];
    const differing = after.systemPackages.filter(
      (one) => !before.systemPackages.some((other) => JSON.stringify(other) === JSON.stringify(one)),
    );
    expect(differing).toEqual([{ name: 'git', version: '1:9.9.9-1', arch: expect.any(String) as string }]);
    expect(after.pythonPackages).toEqual(before.pythonPackages);
    expect(after.collections).toEqual([
      {
        name: 'community.general',
        version: '7.5.0',
        path: '/usr/share/ansible/collections/ansible_collections',
      },
    ]);
  });

  it('tells when there is no ansible-runner, and when there is no Python at all', async () => {
    const bare = build(
      'no-runner',
      `FROM ${eeImage}\nUSER 0\nRUN rm -rf /usr/lib/python3/dist-packages/ansible_runner*\nUSER 1000\n`,
    );
    expect((await lookInto(bare)).contents!.report).toMatchObject({
      ansibleCore: expect.any(String) as string,
      ansibleRunner: null,
    });
    const empty = build('empty', 'FROM scratch\nCOPY empty /empty\n');
    expect((await lookInto(empty)).contents).toMatchObject({
      report: { python: null, ansibleCore: null, ansibleRunner: null, systemPackages: [] },
      config: { operatingSystem: 'linux' },
    });
  });

  it.each([
    ['print("x" * (3 << 20))', 'output_too_large'],
    ['print("no report")', 'output_invalid'],
    ['print(\'{"format": 1, "os": {"id": "\\\\u001b[2J"}}\')', 'output_invalid'],
    ['raise SystemExit("it is broken")', 'inspector_failed'],
  ])('refuses what a poisonous image says: %s', async (program, code) => {
    const settings = { installationId, inspectorSource: Buffer.from(program) };
    const { reason } = await lookInto(eeImage!, undefined, { ...parts, settings });
    expect(reason).toMatchObject({ code });
    expect(reason!.message).not.toContain('\u001b');
  });

  it('says when the engine lacks the image', async () => {
    const { reason } = await lookInto('localhost/gone:1', `sha256:${'0'.repeat(64)}`);
    expect(reason).toMatchObject({ code: 'image_not_present' });
  });

  it('goes on with the pod of a launcher that died, and removes one that nobody waits for', async () => {
    const digest = await digestOf(eeImage!);
    const known = await pods.describeImage({ image: eeImage!, digest });
    const described = describeInspection(parts.settings, { digest, reference: known!.reference }, Date.now());
    await pods.create(described);
    await pods.start(described.name, null);
    expect((await lookInto(eeImage!)).contents!.report.ansibleCore).toMatch(/^2\./);

    const orphan = { ...described, name: `${described.name}-orphan` };
    await pods.create(orphan);
    const inspections = createInspections(parts);
    await inspections.sweep();
    expect(await leftBehind()).toBe(1);
    await pods.destroy(orphan.name);
    await pods.create({ ...orphan, labels: { ...orphan.labels, [podLabels.deadline]: '1' } });
    await inspections.sweep();
    expect(await leftBehind()).toBe(0);
  });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { playbooks } from './playbooks.js';
import { eeImage, inEnvironment, localHosts, runJob } from './pod.js';
import type { WireEvent } from './strict-ingest.js';

/** The events of ansible-runner's own command in the same image, on the same project and inventory. */
const byHand = async (files: Record<string, string>, cmdline: string): Promise<WireEvent[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-runner-'));
  const write = (name: string, content: string) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  };
  for (const [name, content] of Object.entries(files)) write(join('project', name), content);
  write('inventory/listing.json', JSON.stringify(localHosts));
  write('inventory/hosts', '#!/bin/sh\nexec cat /runner/inventory/listing.json\n');
  chmodSync(join(folder, 'inventory/hosts'), 0o755);
  chmodSync(folder, 0o755);
  // The volume is world-writable, and Ansible takes no ansible.cfg from such a directory: umask and mkdir as the agent has them.
  const script = `cd /runner && cp -r /given/. . && chmod 755 project inventory && mkdir data && mv project inventory data/ && ln -s data/project data/inventory . && cd data &&
    ansible-runner run /runner/data -p site.yml -i job-1 -q --inventory /runner/inventory/hosts ${cmdline ? `--cmdline='${cmdline}'` : ''} >&2
    python3 -c "import glob,json; print(json.dumps(sorted((json.load(open(f)) for f in glob.glob('/runner/data/artifacts/job-1/job_events/*.json') if 'partial' not in f), key=lambda e: e['counter'])))"`;
  const ended = await inEnvironment(['sh', '-c', script], { flags: [`-v=${folder}:/given:ro`] });
  rmSync(folder, { recursive: true, force: true });
  return JSON.parse(ended.stdout) as WireEvent[];
};

/** What may differ between two runs is made equal: ids, times, process ids, temporary paths. */
const comparable = (event: WireEvent): unknown => {
  const text = JSON.stringify(event, (key, value: unknown) => {
    if (
      [
        'uuid',
        'pid',
        'created',
        'parent_uuid',
        'task_uuid',
        'play_uuid',
        'playbook_uuid',
        'start',
        'end',
        'duration',
        'delta',
        'ansible_facts',
        'backup_file',
      ].includes(key)
    )
      return value == null ? null : typeof value;
    return value;
  });
  return JSON.parse(
    text
      .replaceAll('\\r\\n', '\\n')
      .replaceAll('/runner/data/project', '/runner/project')
      .replaceAll(/tmp[a-z0-9_]{8}|ansible-tmp-[\d.-]+|ansible-local-\w+/g, 'TMP')
      .replaceAll(/"(atime|mtime|ctime|inode)":[\d.]+/g, '"$1":0')
      .replaceAll(/\d+:\d\d:\d\d\.\d{6}/g, 'TIME'),
  );
};

describe.skipIf(!eeImage)("the agent's events", () => {
  for (const [name, { files, arguments: args = [] }] of Object.entries(playbooks)) {
    it(`are those of ansible-runner: ${name}`, { timeout: 180_000 }, async () => {
      const { ingest, ended } = await runJob({ files, payload: { arguments: args } });
      const expected = await byHand(files, args.join(' '));
      expect(ended).toMatchObject({ code: 0, stderr: '' });
      expect(ingest.breaches).toEqual([]);
      expect(ingest.events.map((event) => event.event)).toEqual(expected.map((event) => event.event));
      expect(ingest.events.map(comparable)).toEqual(expected.map(comparable));
    });
  }
});

import { execFile, execFileSync } from 'node:child_process';
import { createCipheriv, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { eeImage, runJob, stopPod, tar } from './pod.js';

const play = (tasks: string, more = '') => ({
  'site.yml': `- hosts: alpha\n  gather_facts: false\n${more}  tasks:\n${tasks.replace(/^/gm, '    ')}\n`,
});
const hello = play('- debug: {msg: hello}');
const shell = (name: string, script: string) =>
  `- name: ${name}\n  shell: |\n    ${script.replaceAll('\n', '\n    ')}`;
const debugLoop = (count: number) =>
  play(`- debug: {msg: "line {{ item }}"}\n  loop: "{{ range(${count}) | list }}"`);

describe('the pure parts of the agent', () => {
  it('pass their unit tests', async () => {
    const folder = fileURLToPath(new URL('..', import.meta.url));
    const { stderr } = await promisify(execFile)(
      'python3',
      ['-B', '-m', 'unittest', '-q', 'test_agent', 'test_inspect_image'],
      {
        cwd: folder,
      },
    );
    expect(stderr).toMatch(/OK/);
  });
});

describe.skipIf(!eeImage)('a job in a pod', { timeout: 180_000 }, () => {
  it('tells what it is, and ends successful with the artifacts of the play', async () => {
    const { ingest, ended } = await runJob({
      files: play(
        '- set_stats: {data: {answer: 42}}\n- debug: {var: given}\n- command: env\n- command: id -u',
      ),
      payload: {
        extraVars: { given: 'by the launch' },
        environment: { FROM_PAYLOAD: 'yes' },
        arguments: ['-v'],
      },
    });
    expect(ended).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(ingest.breaches).toEqual([]);
    expect(ingest.started?.agent).toMatchObject({
      version: '0.1.0',
      mode: 'direct',
      ansibleCore: expect.stringMatching(/^2\./),
      ansibleRunner: expect.stringMatching(/^2\./),
    });
    expect(ingest.finish).toMatchObject({
      status: 'successful',
      exitCode: 0,
      reason: null,
      artifacts: { answer: 42 },
    });
    const text = ingest.events.map((event) => event.stdout).join('\n');
    expect(text).toContain('by the launch');
    expect(text).toContain('FROM_PAYLOAD=yes');
    expect(text).not.toContain('GANTRY_');
  });

  it('runs through ansible-runner itself where its display callback does not fit', async () => {
    const { ingest, ended } = await runJob({ files: hello, env: ['GANTRY_AGENT_MODE=runner'] });
    expect(ended).toMatchObject({ code: 0 });
    expect(ingest.started?.agent.mode).toBe('runner');
    expect(ingest.finish).toMatchObject({ status: 'successful', exitCode: 0 });
    expect(ingest.events.map((event) => event.event)).toEqual([
      'playbook_on_start',
      'playbook_on_play_start',
      'playbook_on_task_start',
      'runner_on_start',
      'runner_on_ok',
      'playbook_on_stats',
    ]);
  });

  it('runs on the hosts of a limit by name, however many, and on no others', async () => {
    const names = Array.from({ length: 4_000 }, (_, index) => `host-with-a-long-name-${index}.example.net`);
    const { ingest } = await runJob({
      files: {
        'site.yml': '- hosts: alpha, beta\n  gather_facts: false\n  tasks: [{debug: {msg: hello}}]\n',
      },
      payload: { limitHosts: [...names, 'beta'] },
    });
    expect(ingest.finish).toMatchObject({ status: 'successful' });
    const hosts = ingest.events
      .filter(({ event }) => event === 'runner_on_ok')
      .map((event) => JSON.stringify(event));
    expect(hosts).toHaveLength(1);
    expect(hosts[0]).toContain('beta');
  });

  it('fails with a sentence that names the hosts', async () => {
    const { ingest } = await runJob({ files: play('- fail: {msg: on purpose}') });
    expect(ingest.finish).toMatchObject({
      status: 'failed',
      exitCode: 2,
      reason: { code: 'hosts_failed', message: '1 of 1 hosts failed: alpha.' },
    });
  });

  it('says where a syntax error is', async () => {
    const { ingest } = await runJob({ files: { 'site.yml': '- hosts: all\n  tasks: [\n' } });
    expect(ingest.finish).toMatchObject({
      status: 'failed',
      exitCode: 4,
      reason: { code: 'playbook_unreadable', message: expect.stringMatching(/YAML/) },
    });
    expect(ingest.breaches).toEqual([]);
  });

  it('says that the playbook is not there', async () => {
    const { ingest } = await runJob({ files: hello, playbook: 'other.yml' });
    expect(ingest.finish).toMatchObject({
      status: 'error',
      exitCode: null,
      reason: {
        code: 'playbook_not_found',
        message: 'The playbook other.yml is not in the project at this commit.',
      },
    });
  });

  it('refuses an archive that leaves its directory, and names the entry', async () => {
    const { ingest } = await runJob({ files: {}, archive: tar({ 'site.yml': '', '../evil.yml': 'x' }) });
    expect(ingest.finish).toMatchObject({
      status: 'error',
      reason: {
        code: 'project_unsafe',
        message: expect.stringContaining('"../evil.yml" leads out of the project'),
      },
    });
  });

  it('ends after its time', async () => {
    const { ingest } = await runJob({
      files: play('- command: sleep 60'),
      payload: { timeoutSeconds: 1 },
      limits: { graceSeconds: 1 },
    });
    expect(ingest.finish).toMatchObject({
      status: 'error',
      reason: { code: 'timed_out', message: 'The playbook ran longer than 1 s and was ended.' },
    });
  });
});

/** A file as `ansible-vault encrypt --encrypt-vault-id prod` makes one. */
const vaulted = (text: string, password: string): string => {
  const salt = randomBytes(32);
  const keys = pbkdf2Sync(password, salt, 10_000, 80, 'sha256');
  const padding = 16 - (Buffer.byteLength(text) % 16);
  const cipher = createCipheriv('aes-256-ctr', keys.subarray(0, 32), keys.subarray(64));
  const sealed = Buffer.concat([
    cipher.update(Buffer.concat([Buffer.from(text), Buffer.alloc(padding, padding)])),
    cipher.final(),
  ]);
  const hmac = createHmac('sha256', keys.subarray(32, 64)).update(sealed).digest();
  return `$ANSIBLE_VAULT;1.2;AES256;prod\n${Buffer.from([salt, hmac, sealed].map((part) => part.toString('hex')).join('\n')).toString('hex')}\n`;
};

/** A private key with a passphrase, and a certificate for it. */
const makeKey = (passphrase: string): { privateKey: string; certificate: string } => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-key-'));
  const keygen = (...args: string[]) => execFileSync('ssh-keygen', ['-q', ...args], { cwd: folder });
  keygen('-t', 'ed25519', '-N', passphrase, '-C', 'the key', '-f', 'key');
  keygen('-t', 'ed25519', '-N', '', '-f', 'authority');
  keygen('-s', 'authority', '-I', 'test', '-n', 'ansible', 'key.pub');
  const [privateKey, certificate] = ['key', 'key-cert.pub'].map((name) =>
    readFileSync(join(folder, name), 'utf8'),
  ) as [string, string];
  rmSync(folder, { recursive: true });
  return { privateKey, certificate };
};

describe.skipIf(!eeImage)('credentials of a job', { timeout: 180_000 }, () => {
  const secret = 'S3cret "with" ünïcode/+?';
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const forms = [
    secret,
    JSON.stringify(secret),
    encodeURIComponent(secret),
    base64(secret),
    base64(`a${secret}`),
    base64(`ab${secret}`),
  ];

  it('reach the playbook, and their values leave in no form', async () => {
    const plain = makeKey('open sesame');
    const certified = makeKey('');
    const body = plain.privateKey.split('\n')[2] ?? '';
    const { ingest, ended } = await runJob({
      files: {
        ...play(
          [
            ...forms.map((form, index) => `- debug: {msg: ${JSON.stringify(`form ${index}: ${form}`)}}`),
            "- debug: {msg: \"{{ pass }} {{ lookup('env', 'MY_SECRET') }}\"}",
            shell('Keys', 'ssh-add -l'),
            shell('File', 'cat "$MY_FILE"; stat -c %a "$MY_FILE"'),
            // Brackets, so that the script does not find itself.
            shell(
              'Look around',
              `grep -rls "[${body[0]}]${body.slice(1)}" /runner /tmp /run /dev/shm; tr '\\0' '\\n' < /proc/1/environ; grep -rls 'pod-toke[n]' /runner /tmp; grep -c 'pod-toke[n]' /proc/1/cmdline; true`,
            ),
            "- debug: {msg: \"{{ lookup('unvault', 'vaulted.txt') }}\"}",
          ].join('\n'),
        ),
        'vaulted.txt': vaulted('out of the vault', 'vault-pw'),
      },
      credentials: {
        environment: { MY_SECRET: secret },
        files: [{ name: 'conf/../x', content: `file ${secret}\n`, environment: 'MY_FILE' }],
        sshKeys: [
          { name: 'machine', privateKey: plain.privateKey, passphrase: 'open sesame', certificate: null },
          {
            name: 'certified',
            privateKey: certified.privateKey,
            passphrase: null,
            certificate: certified.certificate,
          },
        ],
        passwords: { connection: null, become: 'become-pw', vault: [{ id: 'prod', password: 'vault-pw' }] },
        arguments: ['--become-method', 'sudo'],
        extraVars: { pass: secret },
        mask: [secret, plain.privateKey, 'open sesame', 'vault-pw', 'become-pw'],
      },
    });
    const result = (task: string) =>
      ingest.events.find((event) => event.event === 'runner_on_ok' && event.event_data?.task === task)
        ?.event_data?.res?.stdout ?? '';
    const text = ingest.events.map((event) => event.stdout).join('\n');
    expect(ingest.breaches).toEqual([]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ingest.finish).toMatchObject({ status: 'successful' });
    expect(
      result('Keys')
        .match(/\(ED25519(-CERT)?\)/g)
        ?.sort(),
    ).toEqual(['(ED25519)', '(ED25519)', '(ED25519-CERT)'].sort());
    expect(result('File')).toBe('file $encrypted$\n600');
    expect(result('Look around')).toBe('0');
    expect(text).toContain('$encrypted$ $encrypted$');
    expect(text).toContain('out of the vault');
    const sent = Buffer.concat(ingest.raw).toString() + JSON.stringify(ingest.finish);
    for (const form of [
      ...forms.map((form) => (form.length > 32 ? form.slice(4, -4) : form)),
      JSON.stringify(secret).slice(1, -1),
      body,
    ]) {
      expect(sent).not.toContain(form);
      expect(sent).not.toContain(JSON.stringify(form).slice(1, -1));
    }
  });

  it('that cannot be used end the job with a sentence', async () => {
    const sshKeys = [{ name: 'machine', privateKey: 'no key at all', passphrase: null, certificate: null }];
    const { ingest } = await runJob({
      files: hello,
      credentials: {
        environment: {},
        files: [],
        sshKeys,
        passwords: { connection: null, become: null, vault: [] },
        arguments: [],
        extraVars: {},
        mask: [],
      },
    });
    expect(ingest.finish).toMatchObject({
      status: 'error',
      reason: {
        code: 'credentials_unusable',
        message: expect.stringContaining('The SSH key "machine" could not be loaded'),
      },
    });
  });
});

describe.skipIf(!eeImage)('a pod whose ingest is in trouble', { timeout: 180_000 }, () => {
  it('loses and repeats no event when answers are lost and calls fail', async () => {
    const { ingest, ended } = await runJob({
      files: debugLoop(60),
      limits: { chunkEvents: 7, flushMilliseconds: 1 },
      trouble: (call, number) =>
        call === 'heartbeat' ? undefined : ([undefined, 503, 'lose', 'cut'] as const)[number % 4],
    });
    expect(ingest.breaches).toEqual([]);
    expect(ended.code).toBe(0);
    expect(ingest.finish).toMatchObject({ status: 'successful', lastCounter: ingest.events.length });
    expect(ingest.events.filter((event) => event.event === 'runner_item_on_ok')).toHaveLength(60);
  });

  it('holds the playbook back when its spool is full, and then goes on', async () => {
    let heldAt = 0;
    const { ingest, ended } = await runJob({
      files: debugLoop(400),
      limits: { chunkEvents: 20, spoolBytes: 4096, heartbeatSeconds: 1 },
      trouble: (call, number) => {
        if (call !== 'chunks' || number < 2 || number > 5) return undefined;
        heldAt = number;
        return 503;
      },
    });
    expect(heldAt).toBe(5);
    expect(ingest.breaches).toEqual([]);
    expect(ended.code).toBe(0);
    expect(ingest.events.filter((event) => event.event === 'runner_item_on_ok')).toHaveLength(400);
  });

  it('stops at once when another pod has the job', async () => {
    const { ingest, ended } = await runJob({
      files: play('- debug: {msg: a}\n- command: sleep 60'),
      trouble: (call, number) => (call === 'heartbeat' && number > 1 ? 403 : undefined),
      limits: { heartbeatSeconds: 1 },
    });
    expect(ended.code).toBe(77);
    expect(ingest.finish).toBeUndefined();
  });

  it('gives up when it is refused', async () => {
    const { ended, ingest } = await runJob({ files: hello, wrongToken: true });
    expect(ended).toMatchObject({ code: 77, stderr: expect.stringContaining('ingest refuses us') });
    expect(ingest.calls).toEqual(['start']);
  });

  it('gives up when nobody answers for too long', async () => {
    const { ended } = await runJob({
      files: play('- debug: {msg: a}\n- command: sleep 60'),
      limits: { answerSeconds: 1 },
      trouble: (call) => (call === 'chunks' ? 503 : undefined),
    });
    expect(ended).toMatchObject({ code: 75, stderr: expect.stringContaining('ingest has not answered') });
  });
});

describe.skipIf(!eeImage)('a job that is canceled', { timeout: 180_000 }, () => {
  it('ends the playbook and still sends all', async () => {
    const { ingest, ended } = await runJob({
      files: play('- debug: {msg: before}\n- command: sleep 60\n- debug: {msg: after}'),
      limits: { heartbeatSeconds: 1, graceSeconds: 3 },
      during: (ingest) => {
        ingest.onCommit = () =>
          (ingest.cancel = ingest.events.some((event) => event.event_data?.task === 'command'));
      },
    });
    expect(ingest.breaches).toEqual([]);
    expect(ended.code).toBe(0);
    expect(ingest.finish).toMatchObject({
      status: 'canceled',
      reason: { code: 'canceled' },
      lastCounter: ingest.events.length,
    });
    expect(ingest.events.map((event) => event.stdout).join()).toContain('before');
  });

  it('says so when the engine stops the pod instead', async () => {
    const { ingest, ended } = await runJob({
      files: play('- command: sleep 60'),
      limits: { graceSeconds: 1 },
      during: (ingest, name) => {
        ingest.onCommit = () => {
          if (ingest.events.some((event) => event.event === 'runner_on_start')) stopPod(name);
        };
      },
    });
    expect(ended.code).toBe(0);
    expect(ingest.finish).toMatchObject({ status: 'error', reason: { code: 'pod_stopped' } });
  });
});

/** Events that are cut, too large or hardly JSON: none is dropped, and none stops those that follow. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { eeImage, inEnvironment, runJob } from './pod.js';
import type { StrictIngest } from './strict-ingest.js';

const play = (tasks: string) => ({
  'site.yml': `- hosts: alpha\n  gather_facts: false\n  tasks:\n${tasks.replace(/^/gm, '    ')}\n`,
});
const resultOf = (ingest: StrictIngest, task: string) =>
  ingest.events.find(
    (event) => /^runner_on_(ok|failed)$/.test(event.event) && event.event_data?.task === task,
  );
const last = '- debug: {msg: the end}';

/** A callback plugin of the project's: it does this to the pipe of events when its task has printed. */
const onPipe = (statements: string) => ({
  'callback_plugins/wild.py': `
import os, signal, sys
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'notification'
    CALLBACK_NAME = 'wild'

    def v2_runner_on_ok(self, result):
        if result._task.get_name() == 'wild':
            pipe = next(module.pipe for module in list(sys.modules.values()) if hasattr(module, 'dump_end') and hasattr(module, 'pipe'))
${statements.replace(/^/gm, '            ')}
`,
});
const wild = play(`- name: wild\n  debug: {msg: before}\n${last}`);

describe.skipIf(!eeImage)('an event that is gone', { timeout: 180_000 }, () => {
  it('because ansible-playbook was killed in the middle of it leaves a gap that is counted and chained', async () => {
    const { ingest, ended } = await runJob({
      files: {
        ...wild,
        ...onPipe(
          `os.write(pipe, b'1 runner_on_ok 5000 {"stdout": "half')\nos.kill(os.getpid(), signal.SIGKILL)`,
        ),
      },
    });
    expect(ended.code).toBe(0);
    expect(ingest.breaches).toEqual([]);
    const gap = ingest.events.at(-1);
    const message = 'ansible-playbook ended in the middle of an event, after 36 bytes of it';
    expect(gap).toMatchObject({
      event: 'gantry_gap',
      stdout: `[gantry: gap: ${message}]`,
      event_data: { reason: 'event_cut', message, sizeBytes: 36 },
    });
    expect(gap!.end_line - gap!.start_line).toBe(1);
    expect(ingest.finish).toMatchObject({
      status: 'error',
      reason: { code: 'killed' },
      lastCounter: gap!.counter,
      lastLine: gap!.end_line,
    });
  });

  it('because nobody can read it leaves a gap, and the events go on', async () => {
    const { ingest, ended } = await runJob({
      files: { ...wild, ...onPipe(`os.write(pipe, b'1 runner_on_ok 9 {"stdout": "half\\n')`) },
    });
    expect(ended.code).toBe(0);
    expect(ingest.breaches).toEqual([]);
    expect(ingest.events.filter((event) => event.event === 'gantry_gap')).toMatchObject([
      { event_data: { reason: 'event_unreadable', sizeBytes: 33 } },
    ]);
    expect(ingest.events.map((event) => event.stdout).join('\n')).toContain('the end');
    expect(ingest.finish).toMatchObject({ status: 'successful' });
  });
});

describe.skipIf(!eeImage)('an event of 50 MB', { timeout: 180_000 }, () => {
  it('keeps its place and its frame, and says what was left out', async () => {
    const { ingest, ended } = await runJob({
      files: play(`- name: huge\n  debug: {msg: "{{ 'x' * 50000000 }}"}\n${last}`),
    });
    expect(ended.code).toBe(0);
    expect(ingest.breaches).toEqual([]);
    const event = resultOf(ingest, 'huge')!;
    expect(event.stdout).toMatch(
      /x{1000} \[gantry: left out the rest of 500000\d\d bytes, sha256 [0-9a-f]{64}\]$/,
    );
    expect(event.stdout.length).toBeLessThan(70_000);
    expect(event.event_data).toMatchObject({ host: 'alpha', task: 'huge' });
    expect(ingest.raw.every((batch) => batch.length < 2_000_000)).toBe(true);
    expect(resultOf(ingest, 'debug')?.stdout).toContain('the end');
    expect(ingest.finish).toMatchObject({ status: 'successful' });
  });

  it('that is one line of plain text is told by its beginning, size and hash', async () => {
    const { ingest, ended } = await runJob({
      files: {
        ...play(last),
        // Before the first event: one that is written meanwhile would part the line.
        'callback_plugins/wild.py': `
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'notification'
    CALLBACK_NAME = 'wild'

    def __init__(self):
        super().__init__()
        with open(1, 'wb', closefd=False) as out:
            out.write(b'y' * 50000000 + b'\\n')
`,
      },
    });
    expect(ended.code).toBe(0);
    expect(ingest.breaches).toEqual([]);
    const sha256 = createHash('sha256').update('y'.repeat(50_000_000)).digest('hex');
    const huge = ingest.events.find((event) => event.event === 'verbose' && event.stdout.startsWith('yyy'))!;
    expect(huge.stdout.replace(/^y{65536} /, '')).toBe(
      `[gantry: left out the rest of 50000000 bytes, sha256 ${sha256}]`,
    );
    expect(huge.end_line - huge.start_line).toBe(1);
    expect(ingest.finish).toMatchObject({ status: 'successful' });
  });
});

describe.skipIf(!eeImage)('text and numbers that JSON or UTF-8 hardly holds', { timeout: 180_000 }, () => {
  it('arrive, each in an event that every JSON parser reads', async () => {
    const { ingest, ended } = await runJob({
      files: play(
        [
          `- name: bytes\n  command: printf 'a\\377b\\000c'`,
          `- name: infinite\n  debug: {msg: {big: 1.0e+400, none: .nan}}`,
          `- name: proto\n  debug: {msg: {__proto__: {polluted: true}, constructor: 1}}`,
          `- name: deep\n  debug: {msg: "{{ ('[' * 10000 + ']' * 10000) | from_json }}"}\n  ignore_errors: true`,
          last,
        ].join('\n'),
      ),
      payload: { environment: { ANSIBLE_MODULE_STRICT_UTF8_RESPONSE: 'false' } },
    });
    expect(ended.code).toBe(0);
    expect(ingest.breaches).toEqual([]);
    expect(resultOf(ingest, 'bytes')?.event_data?.res?.stdout).toMatch(/^a.*b\0c$/);
    expect(JSON.stringify(resultOf(ingest, 'infinite')?.event_data)).toContain(
      '"big":"Infinity","none":"NaN"',
    );
    expect(JSON.stringify(resultOf(ingest, 'proto')?.event_data)).toContain('"__proto__":{"polluted":true}');
    expect(resultOf(ingest, 'deep')).toBeDefined();
    expect(resultOf(ingest, 'debug')?.stdout).toContain('the end');
    expect(ingest.finish).toMatchObject({ status: 'successful' });
  });

  it('do not stop the callback, whatever they are', async () => {
    const source = readFileSync(fileURLToPath(new URL('../agent.py', import.meta.url)), 'utf8');
    const display = /^DISPLAY = r'''\n([\s\S]*?)^'''/m.exec(source)![1]!;
    const script = `
import os, sys, json
os.environ.update(GANTRY_EVENTS_FD=str(os.open('/dev/null', os.O_WRONLY)), GANTRY_RUNNER_DISPLAY=__import__('ansible_runner').__path__[0] + '/display_callback/callback/awx_display.py')
sys.path.insert(0, '/tmp')
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
exec(compile(sys.stdin.read(), 'display', 'exec'))
circle, deep = [], []
circle.append(circle)
for _ in range(100000): deep = [deep]
for name, res in (('circle', circle), ('deep', deep), ('type', object()), ('key', {(1, 2): 3}), ('infinite', [float('-inf')]), ('half', '\\ud800')):
    print(written({'event': 'x', 'uuid': 'u', 'event_data': {'host': name, 'res': res}}))
print(len({display.uuid.uuid4() for _ in range(5000)}), display.uuid.uuid4().version)
`;
    const ended = await inEnvironment(['python3', '-c', script], { input: display, endInput: true });
    expect(ended.stderr).toBe('');
    const lines = ended.stdout.trim().split('\n');
    expect(lines.pop()).toBe('5000 4');
    const left = (error: string) => ({ gantry_left_out: { error } });
    expect(lines.map((line) => (JSON.parse(line) as { event_data: object }).event_data)).toEqual([
      { host: 'circle', res: left('ValueError') },
      { host: 'deep', res: left('RecursionError') },
      { host: 'type', res: left('TypeError') },
      { host: 'key', res: left('TypeError') },
      { host: 'infinite', res: ['-Infinity'] },
      { host: 'half', res: '\ud800' },
    ]);
  });
});

/** What every pod driver must do. Registers its tests: call it in an integration spec. */
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { describePod, podLabels, podName, type PodDescription } from '../pod/description.js';
import type { PodDriver, PullOptions } from '../pod/driver.js';

/** A driver under test. */
export interface DriverSubject {
  driver: PodDriver;
  /** An image that is there and has python3. */
  image: string;
  /** Makes the engine or cluster go away and come back. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

// Says what it sees, waits for its token, then does as `DO` says.
const program = `
import json, os, signal, sys, time
def read(name):
    with open(name) as file:
        return file.read()
status = dict(line.split(':', 1) for line in read('/proc/self/status').splitlines())
def may_write(path):
    try:
        open(path + '/x', 'w').close()
        return True
    except OSError:
        return False
print(json.dumps({
    'uid': os.getuid(), 'gid': os.getgid(), 'caps': status['CapBnd'].strip(), 'noNewPrivs': status['NoNewPrivs'].strip(),
    'writable': [path for path in ('/', '/etc', '/usr', '/runner', '/tmp', '/run/gantry') if may_write(path)],
    'mount': sorted(os.listdir('/run/gantry')), 'environ': read('/proc/self/environ').count('token-of-the-test'),
}), flush=True)
line = ''
while not line.startswith('gantry-token:'):
    line = sys.stdin.readline()
    if not line:
        sys.exit(64)
print(line.strip(), flush=True)
do = os.environ['DO']
if do == 'print':
    print('on the other stream', file=sys.stderr, flush=True)
    sys.stdout.write(chr(10) * 10000 + 'x' * 100000 + 'end')
    sys.exit(0)
if do == 'forever':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    while True:
        time.sleep(60)
if do == 'stubborn':
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print('ignores', flush=True)
    while True:
        time.sleep(60)
if do == 'eat':
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)) * 8)
sys.exit(int(do))
`;

interface Bench {
  subject: DriverSubject;
  driver: PodDriver;
  installationId: string;
  /** A pod's description; the pod is removed after the test. */
  describeTest(act: string, change?: Partial<PodDescription>): Promise<PodDescription>;
  started(act: string): Promise<string>;
  says(pod: string, words: string): Promise<void>;
  hasToken(pod: string): Promise<void>;
}

const never = new AbortController().signal;
/** A pull that nobody watches. */
export const pulling = (onPull: () => void = () => undefined): PullOptions => ({
  onPull,
  onProgress: () => undefined,
  login: async () => null,
  signal: never,
});

/** Registers the tests. */
export const podDriverContract = (name: string, make: () => Promise<DriverSubject>): void => {
  describe(`${name}, as a pod driver`, () => {
    const bench = createBench(make);
    livesOfPods(bench);
    outputOfPods(bench);
    endsOfPods(bench);
  });
};

const createBench = (make: () => Promise<DriverSubject>): Bench => {
  const installationId = randomUUID();
  const folder = mkdtempSync(join(tmpdir(), 'gantry-pods-'));
  chmodSync(folder, 0o755);
  const made: string[] = [];
  const bench = { installationId } as Bench;

  beforeAll(async () => {
    bench.subject = await make();
    bench.driver = bench.subject.driver;
  });
  afterAll(async () => {
    rmdirSync(folder);
    await bench.subject?.close();
  });
  afterEach(async () => {
    for (const pod of made.splice(0)) await bench.driver.destroy(pod);
  });

  bench.describeTest = async (act, change = {}) => {
    const wanted = { image: bench.subject.image, digest: null, pull: 'never' as const };
    const ready = await bench.driver.ensureImage(
      wanted,
      pulling(() => expect.fail('it is there')),
    );
    const settings = {
      installationId,
      podsUrl: `unix://${folder}/ingest.sock`,
      network: 'none',
      limits: { memoryBytes: 256 * 1024 * 1024, cpus: 1, processes: 64 },
      agentSource: Buffer.from(program),
    };
    const described = describePod(settings, { id: randomUUID(), epoch: 1, image: ready.reference });
    made.push(described.name);
    return { ...described, environment: { ...described.environment, DO: act }, ...change };
  };
  bench.started = async (act) => {
    const description = await bench.describeTest(act);
    await bench.driver.create(description);
    await bench.driver.start(description.name, 'token-of-the-test');
    return description.name;
  };
  bench.says = (pod, words) =>
    vi.waitFor(async () => expect(await bench.driver.lastWords(pod)).toContain(words), { timeout: 10_000 });
  bench.hasToken = (pod) => bench.says(pod, 'token-of-the-test');
  return bench;
};

const livesOfPods = (bench: Bench): void => {
  it('runs a pod with its token, without privileges, writable only in memory', async () => {
    const pod = await bench.started('7');
    const ended = await bench.driver.wait(pod, never);
    expect(ended).toMatchObject({ phase: 'exited', exitCode: 7, name: pod });
    const [seen, token] = (await bench.driver.lastWords(pod)).split('\n');
    expect(JSON.parse(seen!)).toMatchObject({
      uid: 1000, gid: 0, caps: '0000000000000000', noNewPrivs: '1', writable: ['/runner', '/tmp'], environ: 0,
    }); // prettier-ignore
    expect(token).toBe('gantry-token:token-of-the-test');
  });

  it('makes a pod once, however often it is told', async () => {
    const description = await bench.describeTest('0');
    await bench.driver.create(description);
    await bench.driver.create(description);
    expect((await bench.driver.inspect(description.name))?.phase).toBe('created');
    expect(
      (await bench.driver.list(podLabels.installation, bench.installationId)).map((pod) => pod.name),
    ).toEqual([description.name]);
  });

  it('finds a running pod again and may give it the token twice', async () => {
    const pod = await bench.started('forever');
    await bench.hasToken(pod);
    await bench.driver.start(pod, 'token-of-the-test');
    const [listed] = await bench.driver.list(podLabels.installation, bench.installationId);
    expect(listed).toMatchObject({ name: pod, phase: 'running' });
    expect(podName(listed!.labels[podLabels.job]!, Number(listed!.labels[podLabels.epoch]))).toBe(pod);
  });

  it('waits for a pod until it is told to leave', async () => {
    const pod = await bench.started('forever');
    const leave = new AbortController();
    const waiting = bench.driver.wait(pod, leave.signal);
    leave.abort();
    expect((await waiting)?.phase).toBe('running');
  });
};

const outputOfPods = (bench: Bench): void => {
  it('gives back what a pod printed on standard output, whole and within a bound', async () => {
    const pod = await bench.started('print');
    await bench.driver.wait(pod, never);
    const { text, complete } = await bench.driver.output(pod, 1_000_000);
    expect(complete).toBe(true);
    const printed = `${'\n'.repeat(10_001)}${'x'.repeat(100_000)}end`;
    const tail = text.slice(text.indexOf('\n\n'));
    expect([tail.length, tail.lastIndexOf('\n'), tail.slice(-5)]).toEqual([printed.length, 10_000, 'xxend']);
    expect(tail === printed).toBe(true);
    expect(text).not.toContain('the other stream');
    const cut = await bench.driver.output(pod, 1_000);
    expect(cut.complete).toBe(false);
    expect(cut.text.length).toBeLessThanOrEqual(1_000);
    expect(await bench.driver.output(`${pod}-not`, 10)).toEqual({ text: '', complete: true });
  });

  it('says when an image lacks the program', async () => {
    const description = await bench.describeTest('0', { command: ['no-such-program'] });
    await bench.driver.create(description);
    await expect(bench.driver.start(description.name, null)).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'command_not_found' },
      message: expect.stringContaining('no-such-program'),
    });
  });

  it('knows images by the digest they are pinned to', async () => {
    const { image } = bench.subject;
    const wanted = { image, digest: null, pull: 'never' as const };
    const { digest, reference } = await bench.driver.ensureImage(wanted, pulling());
    const known = await bench.driver.describeImage({ image, digest });
    expect(known).toMatchObject({
      reference,
      config: { operatingSystem: 'linux', sizeBytes: expect.any(Number) as number },
    });
    const other = `sha256:${'0'.repeat(64)}`;
    expect(await bench.driver.describeImage({ image, digest: other })).toBeNull();
  });
};

const endsOfPods = (bench: Bench): void => {
  it('ends a pod politely', async () => {
    const pod = await bench.started('forever');
    await bench.hasToken(pod);
    await bench.driver.stop(pod, 10);
    expect(await bench.driver.wait(pod, never)).toMatchObject({ phase: 'exited', exitCode: 143 });
  });

  it('ends a pod that will not', async () => {
    const pod = await bench.started('stubborn');
    await bench.says(pod, 'ignores');
    await bench.driver.stop(pod, 0);
    expect(await bench.driver.wait(pod, never)).toMatchObject({ phase: 'exited', exitCode: 137 });
  });

  it('removes a pod that runs, and one that is not there', async () => {
    const pod = await bench.started('stubborn');
    await bench.driver.destroy(pod);
    await bench.driver.destroy(pod);
    expect(await bench.driver.inspect(pod)).toBeNull();
    expect(await bench.driver.wait(pod, never)).toBeNull();
  });

  it('lets a pod that eats too much memory die alone', async () => {
    const pod = await bench.started('eat');
    expect(await bench.driver.wait(pod, never)).toMatchObject({ phase: 'exited', exitCode: 137 });
  });

  it('finds an image by its tag and by its digest, and none that is not there', async () => {
    const { image } = bench.subject;
    const found = await bench.driver.findImage({ image, digest: null });
    expect(found?.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await bench.driver.findImage({ image, digest: found!.digest })).toEqual(found);
    const wanted = { image, digest: found!.digest, pull: 'missing' as const };
    const ready = await bench.driver.ensureImage(
      wanted,
      pulling(() => expect.fail('it is there')),
    );
    expect(ready.digest).toBe(found!.digest);
    expect(await bench.driver.findImage({ image, digest: `sha256:${'0'.repeat(64)}` })).toBeNull();
    expect(await bench.driver.findImage({ image: 'localhost/gantry-none:1', digest: null })).toBeNull();
  });

  it('says in whose words an image is missing', async () => {
    const missing = { image: 'localhost/gantry-no-such-image:1', digest: null, pull: 'never' as const };
    await expect(bench.driver.ensureImage(missing, pulling())).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'image_not_present' },
      message: expect.stringContaining('localhost/gantry-no-such-image:1'),
    });
    let announced = 0;
    const unreachable = { image: '127.0.0.1:9/gantry/none:1', digest: null, pull: 'missing' as const };
    await expect(
      bench.driver.ensureImage(
        unreachable,
        pulling(() => (announced += 1)),
      ),
    ).rejects.toMatchObject({
      code: 'refused',
      details: { reason: 'image_registry_unreachable' },
    });
    expect(announced).toBe(1);
  });

  it('is back after the engine was away, with the pods that ran on', async () => {
    const pod = await bench.started('forever');
    await bench.hasToken(pod);
    const waiting = bench.driver.wait(pod, never).catch((error: unknown) => error);
    await bench.subject.restart();
    expect((await bench.driver.inspect(pod))?.phase).toBe('running');
    await bench.driver.kill(pod);
    expect(await bench.driver.wait(pod, never)).toMatchObject({ phase: 'exited', exitCode: 137 });
    // Whichever it saw: the end, or the engine going away.
    expect(await waiting).toMatchObject({});
  });
};

/** With a real engine: Debian's packages from their mirrors, Python packages and collections out of folders made here. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry } from '@gantry/testkit/registry';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { eeImage, podman } from '../testing/podman.js';
import { buildEnvironment, type BuildOptions } from './build.command.js';
import { pushImage, tagImage } from './build-image.js';
import { openEngine } from './engine.js';
import { readLock, writeLock, type Lock } from './lock.js';

// A home of the test's own, so that the engine of a Gantry that runs here is left alone; what a container needs here goes along.
const settings = await vi.hoisted(async () => {
  const { copyFileSync, existsSync, mkdirSync } = await import('node:fs');
  const before = process.env['GANTRY_HOME'] ?? `${process.cwd()}/.gantry`;
  const home = `/tmp/gantry-ee-home-${process.pid}`;
  process.env['GANTRY_HOME'] = home;
  for (const name of ['GANTRY_CONTAINER_HOST', 'CONTAINER_HOST', 'DOCKER_HOST']) delete process.env[name];
  mkdirSync(home, { recursive: true });
  if (existsSync(`${before}/containers.conf`))
    copyFileSync(`${before}/containers.conf`, `${home}/containers.conf`);
  return { home };
});
/** Wheels of `gantry-demo` 1.0 and 2.0, collections demo.base 1.0.0 and demo.tools 1.0.0, 1.1.0 and 2.0.0, made in the base image. */
const MAKE = `
import os, subprocess, zipfile, json
os.makedirs('/out/wheels'); os.makedirs('/out/collections')
for version in ('1.0', '2.0'):
    info = 'gantry_demo-%s.dist-info/' % version
    with zipfile.ZipFile('/out/wheels/gantry_demo-%s-py3-none-any.whl' % version, 'w') as wheel:
        wheel.writestr('gantry_demo.py', 'version = %r\\n' % version)
        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: gantry-demo\\nVersion: %s\\n' % version)
        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        wheel.writestr(info + 'RECORD', 'gantry_demo.py,,\\n%sMETADATA,,\\n%sWHEEL,,\\n%sRECORD,,\\n' % (info, info, info))
def collection(name, version, needs, files):
    folder = '/tmp/%s-%s' % (name, version)
    os.makedirs(folder + '/meta')
    for path, text in dict(files, **{'meta/runtime.yml': 'requires_ansible: ">=2.14"\\n', 'README.md': version}).items():
        with open(folder + '/' + path, 'w') as file: file.write(text)
    with open(folder + '/galaxy.yml', 'w') as file:
        json.dump({'namespace': 'demo', 'name': name, 'version': version, 'readme': 'README.md', 'authors': ['nobody'],
                   'dependencies': needs}, file)
    subprocess.check_call(['ansible-galaxy', 'collection', 'build', '--output-path', '/out/collections', folder])
collection('base', '1.0.0', {}, {})
for version in ('1.0.0', '1.1.0', '2.0.0'):
    collection('tools', version, {'demo.base': '>=1.0.0'}, {
        'meta/execution-environment.yml': 'dependencies: {python: meta/python.txt, system: meta/bindep.txt}',
        'meta/python.txt': 'gantry-demo<2  # the old one\\nansible-core\\n',
        'meta/bindep.txt': 'jq [platform:dpkg]\\ngcc [compile platform:rpm]\\nno-such-package [platform:rpm]\\n'})
`;

describe.skipIf(!eeImage)('an execution environment built on this machine', () => {
  const work = mkdtempSync(join(tmpdir(), 'gantry-ee-test-'));
  const file = join(work, 'execution-environment.yml');
  const lockFile = join(work, 'execution-environment.lock.yml');
  const tags = ['first', 'second'].map((name) => `localhost/gantry-test-build:${name}-${process.pid}`);
  const folders = { wheels: join(work, 'wheels'), collections: join(work, 'collections') };
  const said: string[] = [];
  const build = (options: BuildOptions) =>
    buildEnvironment(file, { ...folders, ...options }, (line) => said.push(line));

  beforeAll(async () => {
    writeFileSync(join(work, 'make.py'), MAKE);
    podman(
      'run',
      '--rm',
      '--network=none',
      '--user=0',
      '-v',
      `${work}:/out`,
      eeImage!,
      'python3',
      '/out/make.py',
    );
    mkdirSync(join(work, 'files'));
    writeFileSync(join(work, 'files', 'motd'), 'made by a test\n');
    writeFileSync(
      file,
      `version: 3
images: {base_image: {name: '${eeImage}'}}
dependencies:
  galaxy:
    collections: [{name: demo.tools, version: '<2.0.0'}]
additional_build_files: [{src: files/*, dest: etc}]
additional_build_steps:
  append_final: |
    COPY _build/etc/motd /etc/motd
    RUN echo "a step of its own" > /etc/step
options: {package_manager_path: /usr/bin/apt-get}
`,
    );
    await build({ tag: [tags[0]!] });
  }, 600_000);
  afterAll(() => {
    for (const tag of tags)
      try {
        podman('image', 'rm', tag);
      } catch {
        // It was not built.
      }
    rmSync(work, { recursive: true, force: true });
    rmSync(settings.home, { recursive: true, force: true });
  });
  afterEach(() => vi.unstubAllEnvs());

  const inImage = (tag: string, script: string): string =>
    podman('run', '--rm', '--network=none', tag, 'sh', '-c', script);
  /** Names and hashes of every file, but what the engine writes into each container and what Python compiles on its own. */
  const contents = (tag: string): string =>
    inImage(
      tag,
      `dpkg-query -W; find / -xdev -type f ! -path '/proc/*' ! -path '/sys/*' ! -path '/dev/*' ! -name '*.pyc' ! -path /etc/hosts ! -path /etc/hostname ! -path /etc/resolv.conf ! -path '/run/.containerenv' 2>/dev/null | sort | xargs -d '\\n' sha256sum 2>/dev/null; true`,
    );
  const lock = (): Lock => readLock(lockFile)!;

  it('holds what the definition asks for, and what its collections ask for', () => {
    expect(inImage(tags[0]!, 'ansible-galaxy collection list 2>/dev/null')).toMatch(
      /demo\.base +1\.0\.0[\s\S]*demo\.tools +1\.1\.0/,
    );
    expect(inImage(tags[0]!, 'python3 -c "import gantry_demo; print(gantry_demo.version)"').trim()).toBe(
      '1.0',
    );
    expect(
      inImage(tags[0]!, 'jq --version; cat /etc/motd /etc/step; id -u; pwd; ls /output 2>&1 || true'),
    ).toMatch(/^jq-1[\s\S]*made by a test\na step of its own\n1000\n\/runner\n.*No such file/);
  });

  it("leaves nothing of root's in the home of its user, and Ansible runs there", () => {
    const volumes = [
      '--read-only',
      '--cap-drop=all',
      '--tmpfs=/runner:rw,mode=1777',
      '--tmpfs=/tmp:rw,mode=1777',
    ];
    expect(inImage(tags[0]!, 'find /runner -mindepth 1; stat -c "%u:%g %a" /runner')).toBe('1000:0 775\n');
    expect(
      podman(
        'run',
        '--rm',
        '--network=none',
        ...volumes,
        tags[0]!,
        'ansible',
        'localhost',
        '-c',
        'local',
        '-m',
        'ping',
      ),
    ).toContain('pong');
  });

  it('is locked down to the hashes of archives', () => {
    expect(lock()).toMatchObject({
      base: { name: eeImage, local: true },
      system: { manager: 'dpkg' },
      python: [
        {
          name: 'gantry-demo',
          version: '1.0',
          layer: 'final',
          sha256: expect.stringMatching(/^[a-f0-9]{64}$/),
        },
      ],
      collections: [
        { name: 'demo.base', version: '1.0.0' },
        { name: 'demo.tools', version: '1.1.0' },
      ],
    });
    const jq = lock().system.packages.find(({ name }) => name === 'jq');
    expect(jq?.sha256).toMatch(/^[a-f0-9]{64}$/);
    const archive = readFileSync(join(folders.collections, 'demo-tools-1.1.0.tar.gz'));
    expect(lock().collections[1]!.sha256).toBe(
      execFileSync('sha256sum', [], { input: archive, encoding: 'utf8' }).split(' ')[0],
    );
  });

  it('is the same again from its lock, file by file', async () => {
    await build({ tag: [tags[1]!], fromLock: true, cache: false });
    expect(contents(tags[1]!)).toBe(contents(tags[0]!));
    expect(said.at(-1)).toContain(lockFile);
  }, 600_000);

  it("is pushed to a registry, or refused in the registry's words", async () => {
    const registry = await startRegistry();
    const tag = `${registry.host}/team/ee:1`;
    vi.stubEnv('GANTRY_REGISTRY_CA_FILE', registry.caFile);
    vi.stubEnv('REGISTRY_AUTH_FILE', join(work, 'nobody.json'));
    const engine = await openEngine();
    try {
      await tagImage(engine.docker, tags[1]!, tag);
      await expect(pushImage(engine.docker, tag)).rejects.toThrow(
        /cannot be pushed to 127\.0\.0\.1:\d+: .*authentication required/,
      );
      vi.stubEnv('REGISTRY_AUTH_FILE', registry.authFile);
      const pushed = `${registry.host}/team/ee@${await pushImage(engine.docker, tag)}`;
      podman('image', 'rm', tag);
      podman('pull', '--quiet', '--authfile', registry.authFile, '--cert-dir', registry.certsFolder, pushed);
      expect(inImage(pushed, 'jq --version')).toMatch(/^jq-1/);
      podman('image', 'rm', pushed);
    } finally {
      engine.close();
      await registry.stop();
    }
  }, 600_000);

  it('is not built from the lock of another definition: what differs is named', async () => {
    const before = readFileSync(file, 'utf8');
    try {
      writeFileSync(file, before.replace("'<2.0.0'", "'<3.0.0'"));
      writeFileSync(join(work, 'files', 'motd'), 'changed\n');
      await expect(build({ fromLock: true })).rejects.toMatchObject({
        code: 'refused',
        details: { changed: ['dependencies.galaxy has changed', 'file files/motd has changed'] },
      });
    } finally {
      writeFileSync(file, before);
      writeFileSync(join(work, 'files', 'motd'), 'made by a test\n');
    }
  });

  it('names what of its lock cannot be had any more', async () => {
    const locked = lock();
    const other = join(work, 'other.lock.yml');
    const packages = locked.system.packages.map((one) =>
      one.name === 'jq' ? { ...one, version: '0.1-1' } : one,
    );
    writeLock(other, { ...locked, system: { ...locked.system, packages } });
    await expect(build({ fromLock: true, lock: other })).rejects.toThrow(
      /the system package jq 0\.1-1 \(amd64\) of the lock cannot be had any more/,
    );
    writeLock(other, { ...locked, base: { ...locked.base, digest: `sha256:${'0'.repeat(64)}` } });
    await expect(build({ fromLock: true, lock: other })).rejects.toThrow(
      /The base image .* of the lock cannot be had any more/,
    );
    const fewer = join(work, 'fewer');
    mkdirSync(fewer);
    for (const name of readdirSync(folders.collections).filter((one) => !one.includes('tools-1.1.0')))
      copyFileSync(join(folders.collections, name), join(fewer, name));
    await expect(build({ fromLock: true, collections: fewer })).rejects.toThrow(
      /the collection demo\.tools 1\.1\.0 of the lock cannot be had any more/,
    );
    rmSync(fewer, { recursive: true });
    mkdirSync(fewer);
    copyFileSync(
      join(folders.wheels, 'gantry_demo-2.0-py3-none-any.whl'),
      join(fewer, 'gantry_demo-2.0-py3-none-any.whl'),
    );
    await expect(build({ fromLock: true, wheels: fewer })).rejects.toThrow(
      /the Python package gantry-demo 1\.0 \(SHA-256 [a-f0-9]{64}\) cannot be had any more/,
    );
  }, 600_000);

  it("tells of a step that fails with the step's own words", async () => {
    const before = readFileSync(file, 'utf8');
    try {
      writeFileSync(file, before.replace('RUN echo "a step of its own" > /etc/step', 'RUN cat /nonexistent'));
      await expect(build({ lock: join(work, 'none.lock.yml') })).rejects.toThrow(
        /RUN cat \/nonexistent[\s\S]*No such file/,
      );
    } finally {
      writeFileSync(file, before);
    }
  }, 600_000);
});

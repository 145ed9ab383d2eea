import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GitSettings } from './git-runner.js';
import { openMirror } from './git.js';
import { isBlockedAddress } from './reach.js';

let settings: GitSettings;

beforeAll(async () => {
  settings = {
    directory: await mkdtemp(join(tmpdir(), 'gantry-git-')),
    allowFile: false,
    silenceSeconds: 1,
    environment: { PATH: process.env['PATH']! },
    proxied: false,
  };
});
afterAll(() => rm(settings.directory, { recursive: true, force: true }));

const fetch = async (url: string): Promise<void> => (await openMirror(settings, 'test', url)).fetch();

/** A server that does `talk` with whoever connects. */
const serve = async (talk: (socket: Socket) => void): Promise<{ port: number; close(): void }> => {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    talk(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
};

describe('a git server', () => {
  it.each(['git', 'http', 'ssh'])(
    'that takes a %s connection and says nothing is given up',
    async (scheme) => {
      const mute = await serve(() => undefined);
      const user = scheme === 'ssh' ? 'git@' : '';
      await expect(fetch(`${scheme}://${user}127.0.0.1:${mute.port}/x`)).rejects.toMatchObject({
        code: 'refused',
        message: expect.stringMatching(/did not answer git within 1 s|git says: .*(timed out|timeout)/i),
      });
      mute.close();
    },
  );

  it("that speaks something else fails in git's words", async () => {
    const other = await serve((socket) => socket.end('220 mail.example.com ESMTP\r\n'));
    await expect(fetch(`git://127.0.0.1:${other.port}/x`)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('git says: '),
    });
    other.close();
  });

  it('may not send us elsewhere', async () => {
    const asked: string[] = [];
    const inner = await serve((socket) => socket.on('data', (data) => asked.push(data.toString())));
    const location = `http://127.0.0.1:${inner.port}/latest/meta-data`;
    const redirect = await serve((socket) =>
      socket.once('data', () =>
        socket.end(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`),
      ),
    );
    await expect(fetch(`http://127.0.0.1:${redirect.port}/x`)).rejects.toMatchObject({ code: 'refused' });
    expect(asked).toEqual([]);
    redirect.close();
    inner.close();
  });

  it('at a link-local address is never asked', async () => {
    for (const host of ['169.254.169.254', '[::ffff:169.254.169.254]', '[fe80::1]', '0.0.0.0']) {
      await expect(fetch(`http://${host}/latest/meta-data`)).rejects.toThrow('special address');
    }
    expect(isBlockedAddress('127.0.0.1')).toBe(false);
    expect(isBlockedAddress('10.1.2.3')).toBe(false);
  });

  it('with a name that does not exist fails with a sentence', async () => {
    await expect(fetch('https://no-such-host.invalid/x')).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('no-such-host.invalid'),
    });
  });
});

import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { looksLikeCertificate, tryPrivateKey } from './ssh-key.js';

const directory = mkdtempSync(join(tmpdir(), 'gantry-ssh-key-'));
afterAll(() => rmSync(directory, { recursive: true }));
let made = 0;
const keygen = (passphrase: string, ...options: string[]): string => {
  const file = join(directory, `key${made++}`);
  execFileSync('ssh-keygen', ['-q', '-N', passphrase, '-C', 'test', '-f', file, ...options]);
  return readFileSync(file, 'utf8');
};
const formats: [string, string[]][] = [
  ['Ed25519 in OpenSSH format', ['-t', 'ed25519', '-a', '1']],
  ['ECDSA in OpenSSH format', ['-t', 'ecdsa', '-a', '1']],
  ['RSA in OpenSSH format', ['-t', 'rsa', '-b', '2048', '-a', '1']],
  ['RSA in PEM', ['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
  ['RSA in PKCS 8', ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8']],
];

describe.each(formats)('a private key, %s', (_name, options) => {
  it('is good without a passphrase', async () => {
    const key = keygen('', ...options);
    expect(await tryPrivateKey(key, null)).toBe('good');
    expect(await tryPrivateKey(key.trimEnd().replaceAll('\n', '\r\n'), null)).toBe('good');
    expect(await tryPrivateKey(key, 'not needed')).toBe('passphrase_unused');
  });

  it('is good with its passphrase only', async () => {
    const key = keygen('the right one', ...options);
    expect(await tryPrivateKey(key, 'the right one')).toBe('good');
    expect(await tryPrivateKey(key, 'the wrong one')).toBe('passphrase_wrong');
    expect(await tryPrivateKey(key, null)).toBe('passphrase_needed');
  });
});

describe('what is no private key', () => {
  it('is found out', async () => {
    const key = keygen('', '-t', 'ed25519');
    const { publicKey } = generateKeyPairSync('ed25519');
    const others = [
      'nonsense',
      key.slice(0, 200),
      key.replace(/\n.{20}/, '\n'),
      publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      `${key}${key}`,
    ];
    for (const text of others) expect(await tryPrivateKey(text, null)).toBe('malformed');
  });

  it('cannot hold the vault up: a key that takes hours to open is given up', async () => {
    const lines = keygen('phrase', '-t', 'ed25519', '-a', '1').trim().split('\n');
    const body = Buffer.from(lines.slice(1, -1).join(''), 'base64');
    // magic, cipher, kdf; then the options: their length, the salt with its length, the rounds.
    const rounds = body.indexOf('bcrypt') + 6 + 4 + 4 + 16;
    expect(body.readUInt32BE(rounds)).toBe(1);
    body.writeUInt32BE(0x7fffffff, rounds);
    const hostile = [lines[0], body.toString('base64'), lines.at(-1)].join('\n');
    expect(await tryPrivateKey(hostile, 'phrase')).toBe('too_slow');
  });
});

describe('a certificate', () => {
  it('is told from a plain public key', () => {
    expect(looksLikeCertificate('ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5 me')).toBe(true);
    expect(looksLikeCertificate('ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me')).toBe(false);
  });
});

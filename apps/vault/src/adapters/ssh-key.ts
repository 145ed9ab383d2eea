/**
 * Does a private key parse, and does its passphrase open it? In a thread of its own with a time limit, because
 * - how long opening takes is written in the key (KDF rounds): 0.6 s for what ssh-keygen makes, hours for a hostile one;
 * - sshpk 1.18.0 throws out of a stream's event on some wrong passphrases, which would end the process (tried, 2026-11).
 */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { PlatformError } from '@gantry/contracts/errors';

/** What is wrong with a key; `passphrase_needed` and `passphrase_unused` are about the passphrase's being there at all. */
export type KeyVerdict =
  'good' | 'malformed' | 'passphrase_needed' | 'passphrase_wrong' | 'passphrase_unused' | 'too_slow';

const limitMilliseconds = 7_000;
const mostAtOnce = 4;
let running = 0;

// OpenSSH's own format through sshpk, PEM through Node, whose errors come where they can be caught.
const source = `
const { parentPort, workerData: { sshpk, text, passphrase } } = require('node:worker_threads');
const { createPrivateKey } = require('node:crypto');
const openSsh = () => {
  const { parsePrivateKey } = require(sshpk);
  try {
    parsePrivateKey(text, 'pem');
    return passphrase === null ? 'good' : 'passphrase_unused';
  } catch (error) {
    if (error.name !== 'KeyEncryptedError') return 'malformed';
  }
  if (passphrase === null) return 'passphrase_needed';
  try {
    parsePrivateKey(text, 'pem', { passphrase });
    return 'good';
  } catch {
    return 'passphrase_wrong';
  }
};
const pem = () => {
  const encrypted = text.includes('ENCRYPTED');
  if (encrypted && passphrase === null) return 'passphrase_needed';
  try {
    createPrivateKey({ key: text, passphrase: encrypted ? passphrase : undefined });
    return passphrase !== null && !encrypted ? 'passphrase_unused' : 'good';
  } catch {
    return encrypted ? 'passphrase_wrong' : 'malformed';
  }
};
parentPort.postMessage(text.includes('BEGIN OPENSSH PRIVATE KEY') ? openSsh() : pem());
`;

/** Tries a key. Throws `unavailable` when too many are being tried already. */
export const tryPrivateKey = async (text: string, passphrase: string | null): Promise<KeyVerdict> => {
  const key = text.trim().replace(/\r\n?/g, '\n');
  if (!/^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\n[\s\S]+\n-----END \1?PRIVATE KEY-----$/.test(key))
    return 'malformed';
  if (running >= mostAtOnce)
    throw new PlatformError(
      'unavailable',
      'Many private keys are being checked: try again in a few seconds.',
    );
  running += 1;
  try {
    return await inThread({
      sshpk: createRequire(import.meta.url).resolve('sshpk'),
      text: `${key}\n`,
      passphrase,
    });
  } finally {
    running -= 1;
  }
};

const inThread = async (workerData: {
  sshpk: string;
  text: string;
  passphrase: string | null;
}): Promise<KeyVerdict> => {
  const worker = new Worker(source, { eval: true, workerData, env: {}, execArgv: [], stderr: true });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<KeyVerdict>((resolve) => {
      timer = setTimeout(() => resolve('too_slow'), limitMilliseconds);
      worker.once('message', resolve);
      worker.once('error', () => resolve(workerData.passphrase === null ? 'malformed' : 'passphrase_wrong'));
      worker.once('exit', () => resolve('malformed'));
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
};

/** True for what `ssh-keygen -s` writes: an OpenSSH certificate on one line. */
export const looksLikeCertificate = (text: string): boolean =>
  /^(ssh|ecdsa|sk)-[a-z0-9@.-]+-cert-v01@openssh\.com [A-Za-z0-9+/]+=*( .*)?$/.test(text.trim());

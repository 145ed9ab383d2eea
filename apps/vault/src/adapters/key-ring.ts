/** The key-encryption keys: a file of lines `<key id> <base64 of 32 bytes>`, the first of which encrypts what is new. */
import { createHash, randomBytes } from 'node:crypto';
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { PlatformError } from '@gantry/contracts/errors';

/** A key-encryption key. */
export interface RingKey {
  id: string;
  key: Buffer;
}

/** All key-encryption keys this vault has. */
export interface KeyRing {
  /** Wraps new data keys. */
  readonly current: RingKey;
  /** The key of this id. Throws `unavailable` when the file lacks it. */
  find(id: string): Buffer;
}

/**
 * Reads the file. A missing one is made (mode 0600) unless `inUse` names keys: then something is encrypted already and
 * a new key would hide that it cannot be read. Throws `invalid` for a file that is malformed or that others may read,
 * `unavailable` when keys in use are missing.
 */
export const loadKeyRing = async (file: string, inUse: readonly string[]): Promise<KeyRing> => {
  let text = await readIfThere(file);
  if (text === null) {
    if (inUse.length > 0) throw missing(file, inUse);
    await makeKeyFile(file);
    text = (await readIfThere(file)) ?? '';
  }
  const { mode } = await stat(file);
  if ((mode & 0o007) !== 0) {
    throw new PlatformError(
      'invalid',
      `Everybody on this machine may read the vault's key file ${file}: run chmod 600 on it.`,
    );
  }
  const ring = parseKeyRing(text, file);
  const lost = inUse.filter((id) => !ring.some((key) => key.id === id));
  if (lost.length > 0) throw missing(file, lost);
  const keys = new Map(ring.map(({ id, key }) => [id, key]));
  return {
    current: ring[0]!,
    find: (id) => {
      const key = keys.get(id);
      if (!key) throw missing(file, [id]);
      return key;
    },
  };
};

/** The keys of a file's text. Throws `invalid` naming the line, never quoting it. */
export const parseKeyRing = (text: string, file: string): RingKey[] => {
  const keys: RingKey[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, id, encoded] = /^([A-Za-z0-9._-]{1,64})[ \t]+([A-Za-z0-9+/]{43}=)\s*$/.exec(line) ?? [];
    if (!id || !encoded) throw malformed(file, `line ${index + 1} is not "<key id> <base64 of 32 bytes>"`);
    if (keys.some((key) => key.id === id))
      throw malformed(file, `line ${index + 1} repeats the key id ${id}`);
    keys.push({ id, key: Buffer.from(encoded, 'base64') });
  }
  if (keys.length === 0) throw malformed(file, 'it holds no key');
  return keys;
};

const readIfThere = (file: string): Promise<string | null> =>
  readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new PlatformError('unavailable', `The vault's key file ${file} cannot be read (${error.code}).`, {
      cause: error,
    });
  });

/** Linked into place whole: of two vaults that start at once, one makes it and both read the same. */
const makeKeyFile = async (file: string): Promise<void> => {
  const key = randomBytes(32);
  const id = `k${createHash('sha256').update(key).digest('hex').slice(0, 8)}`;
  const whole = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(whole, `${id} ${key.toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true });
    await link(whole, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new PlatformError('unavailable', `The vault's key file ${file} cannot be made (${code}).`, {
      cause: error,
    });
  } finally {
    await rm(whole, { force: true });
  }
};

const missing = (file: string, ids: readonly string[]): PlatformError =>
  new PlatformError(
    'unavailable',
    `Credentials are encrypted under the key ${ids.join(', ')}, which ${file} does not hold: put the key back.`,
    {
      details: { reason: 'key_missing', file, keys: ids },
    },
  );

const malformed = (file: string, why: string): PlatformError =>
  new PlatformError('invalid', `The vault's key file ${file} is not right: ${why}.`);

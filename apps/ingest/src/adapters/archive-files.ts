/** An archive in a folder: a local disk, or something mounted like one. */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { PlatformError } from '@gantry/contracts/errors';
import type { Archive } from '../retention.port.js';

/** Errors that do not go away by trying again. */
const lasting = new Set([
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOSPC',
  'EDQUOT',
  'ENOTDIR',
  'ENAMETOOLONG',
  'EISDIR',
]);

/** Over a folder, which is made when missing. A file appears under its name when its bytes and its name are on the disk. */
export const createFileArchive = (folder: string): Archive => {
  const guarded = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      throw new PlatformError(
        lasting.has(code) ? 'refused' : 'unavailable',
        `The archive ${folder} does not take or give ${name}: ${message}`,
        { cause: error, details: { reason: 'archive', errno: code } },
      );
    }
  };
  const locate = (name: string): string => pathToFileURL(join(folder, name)).href;
  return {
    location: pathToFileURL(folder).href,
    locate,
    put: (name, file) =>
      guarded(name, async () => {
        const target = join(folder, name);
        await mkdir(dirname(target), { recursive: true });
        await removePartials(target);
        const partial = `${target}.partial-${randomBytes(6).toString('hex')}`;
        await copyFile(file.path, partial);
        await sync(partial);
        await rename(partial, target);
        await sync(dirname(target));
      }),
    get: (name) => guarded(name, () => openFile(join(folder, name))),
  };
};

/** What a put that was killed left behind. */
const removePartials = async (target: string): Promise<void> => {
  const prefix = `${basename(target)}.partial-`;
  for (const entry of await readdir(dirname(target)))
    if (entry.startsWith(prefix)) await rm(join(dirname(target), entry), { force: true });
};

const sync = async (path: string): Promise<void> => {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

const openFile = async (path: string): Promise<Readable | null> => {
  try {
    const handle = await open(path, 'r');
    return createReadStream(path, { fd: handle });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
};

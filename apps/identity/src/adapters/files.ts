/** Small files that only their owner may read, written whole or not at all. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A file's text, null when there is none. */
export const readText = async (file: string): Promise<string | null> => {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
};

/** Puts a file in place of whatever is there; mode 0600. */
export const replacePrivate = async (file: string, text: string): Promise<void> => {
  const draft = await writeDraft(file, text);
  await rename(draft, file);
};

/** Makes a file unless there is one; mode 0600. Says whether it made it. Two that do it at once: one of them does. */
export const createPrivate = async (file: string, text: string): Promise<boolean> => {
  const draft = await writeDraft(file, text);
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
};

const writeDraft = async (file: string, text: string): Promise<string> => {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomUUID()}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return draft;
};

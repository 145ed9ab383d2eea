/**
 * Reading a tar so strictly that no byte of it can be another: headers, padding, end. Goes on behind a damaged header where
 * it can. Written from POSIX (pax, "ustar Interchange Format"); shares nothing with what writes archives.
 */
import type { FileHandle } from 'node:fs/promises';
import type { Finding } from '@gantry/contracts/proof';
import { finding } from '@gantry/eventlog/stream-check';

const BLOCK = 512;
const END = 2 * BLOCK;

/** A file in a tar. */
export interface TarEntry {
  /** As its header says; not to be trusted unless `sound`. */
  path: string;
  /** Null when its header is damaged and its end cannot be told from its padding. */
  sizeBytes: number | null;
  /** Where its content begins, and where the next header does. */
  from: number;
  next: number;
  header: Buffer;
  /** Its header fits its own sum. */
  sound: boolean;
}

/** Reads bytes of a file; fewer at its end. */
export const readAt = async (file: FileHandle, from: number, length: number): Promise<Buffer> => {
  const buffer = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await file.read(buffer, read, length - read, from + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return buffer.subarray(0, read);
};

const fault = (message: string, more: Partial<Finding> = {}): Finding => finding('file', message, more);

/** A byte for people. */
const hex = (value: number | undefined): string =>
  value === undefined ? 'nothing' : `0x${value.toString(16).padStart(2, '0')}`;

/** Where two pieces of a file differ first, said with the place in the file; null if they are the same. */
export const difference = (what: string, found: Buffer, expected: Buffer, from: number): Finding | null => {
  const length = Math.max(found.length, expected.length);
  for (let index = 0; index < length; index++)
    if (found[index] !== expected[index])
      return fault(
        `Byte ${from + index} of the file, in ${what}: it is ${hex(found[index])}, it must be ${hex(expected[index])}.`,
        { column: what, found: hex(found[index]), expected: hex(expected[index]) },
      );
  return null;
};

/** The entries of a tar of `sizeBytes`, and what of its frame is not as it must be. */
export const readTar = async (
  file: FileHandle,
  sizeBytes: number,
): Promise<{ entries: TarEntry[]; findings: Finding[] }> => {
  const entries: TarEntry[] = [];
  const findings: Finding[] = [];
  const say = (found: Finding | null): void => void (found && findings.push(found));
  for (let at = 0; ;) {
    if (sizeBytes - at <= END) {
      const rest = await readAt(file, at, END);
      say(difference('the end of the archive', rest, Buffer.alloc(END), at));
      return { entries, findings };
    }
    const header = await readAt(file, at, BLOCK);
    if (isEmpty(header)) {
      say(fault(`Byte ${at} of the file: the archive ends here, but the file goes on for ${sizeBytes - at} bytes.`)); // prettier-ignore
      return { entries, findings };
    }
    const entry = await readEntry(file, sizeBytes, header, at);
    if (!entry) {
      say(fault(`Byte ${at} of the file: the file ends in the middle of ${pathOf(header) || 'an entry'}.`));
      return { entries, findings };
    }
    entries.push(entry);
    if (entry.sizeBytes !== null) {
      const end = entry.from + entry.sizeBytes;
      const padding = await readAt(file, end, entry.next - end);
      say(difference(`the padding after ${entry.path}`, padding, Buffer.alloc(padding.length), end));
    }
    at = entry.next;
  }
};

const readEntry = async (
  file: FileHandle,
  fileBytes: number,
  header: Buffer,
  at: number,
): Promise<TarEntry | null> => {
  const sizeBytes = sizeOf(header);
  const from = at + BLOCK;
  const entry = { path: pathOf(header), from, header, sound: isHeader(header) };
  const next = sizeBytes === null ? null : from + Math.ceil(sizeBytes / BLOCK) * BLOCK;
  if (entry.sound && next !== null) return next > fileBytes ? null : { ...entry, sizeBytes, next };
  if (next !== null && (await beginsEntry(file, fileBytes, next))) return { ...entry, sizeBytes, next };
  // Its size cannot be believed: the next header is looked for.
  for (let guess = from; guess <= fileBytes - END; guess += BLOCK)
    if (await beginsEntry(file, fileBytes, guess)) return { ...entry, sizeBytes: null, next: guess };
  return null;
};

const beginsEntry = async (file: FileHandle, fileBytes: number, at: number): Promise<boolean> =>
  at === fileBytes - END || (at < fileBytes - END && isHeader(await readAt(file, at, BLOCK)));

const isEmpty = (block: Buffer): boolean => block.every((byte) => byte === 0);

const pathOf = (header: Buffer): string => header.toString('latin1', 0, 100).replace(/\0.*$/s, '');

const sizeOf = (header: Buffer): number | null => {
  const text = header.toString('latin1', 124, 136);
  return /^[0-7]{11}\0$/.test(text) ? Number.parseInt(text, 8) : null;
};

const isHeader = (header: Buffer): boolean => {
  if (header.length < BLOCK || header.toString('latin1', 257, 262) !== 'ustar') return false;
  const said = header.toString('latin1', 148, 156);
  return said === checksum(header);
};

/** The sum over a header as it stands in it: its own place counts as spaces. */
const checksum = (header: Buffer): string => {
  let sum = 8 * 0x20;
  for (let index = 0; index < BLOCK; index++) if (index < 148 || index >= 156) sum += header[index]!;
  return `${sum.toString(8).padStart(6, '0')}\0 `;
};

/** The seconds since 1970 in a header. */
export const modifiedAt = (header: Buffer): number =>
  Number.parseInt(header.toString('latin1', 136, 147), 8) || 0;

/** The only header that an entry of ours may have. */
export const onlyHeader = (path: string, sizeBytes: number, modified: number): Buffer => {
  const octal = (value: number): string => value.toString(8).padStart(11, '0');
  const text = [
    path.padEnd(100, '\0'),
    '0000644\0'.padEnd(8),
    '0000000\0',
    '0000000\0',
    `${octal(sizeBytes)}\0`,
    `${octal(modified)}\0`,
    ' '.repeat(8),
    '0'.padEnd(101, '\0'),
    'ustar\0',
    '00',
  ].join('');
  const header = Buffer.from(text.padEnd(BLOCK, '\0'), 'latin1');
  header.write(checksum(header), 148, 'latin1');
  return header;
};

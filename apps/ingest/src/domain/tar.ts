/** The headers of a POSIX ustar archive of plain files: enough to write one as a stream. */
import { PlatformError } from '@gantry/contracts/errors';

/** Bytes of a header, and what everything is padded to. */
export const TAR_BLOCK = 512;

/** Bytes an entry of `sizeBytes` takes besides its header and content. */
export const tarPadding = (sizeBytes: number): Buffer =>
  Buffer.alloc((TAR_BLOCK - (sizeBytes % TAR_BLOCK)) % TAR_BLOCK);

/** What ends an archive. */
export const tarEnd = (): Buffer => Buffer.alloc(2 * TAR_BLOCK);

/** The header of a file, readable by all, owned by nobody in particular. `modified`: seconds since the epoch. Throws `defect` for what ustar cannot say. */
export const tarHeader = (name: string, sizeBytes: number, modified: number): Buffer => {
  if (Buffer.byteLength(name) > 100 || sizeBytes >= 8 ** 11)
    throw new PlatformError('defect', `tar cannot hold ${name} of ${sizeBytes} bytes.`);
  const header = Buffer.alloc(TAR_BLOCK);
  const octal = (value: number, at: number, digits: number): void =>
    void header.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1');
  header.write(name, 0, 'utf8');
  octal(0o644, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(sizeBytes, 124, 11);
  octal(Math.max(0, Math.floor(modified)), 136, 11);
  header.write(' '.repeat(8), 148, 'latin1');
  header.write('0', 156, 'latin1');
  header.write('ustar\0' + '00', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
};

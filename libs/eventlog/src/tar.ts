/** Writing a tar: POSIX ustar, plain files only, the same bytes for the same content (docs/adr/0015 says why no library). */

/** Bytes of a header; content is filled up to a multiple of it. */
const BLOCK = 512;

/** The header of a file that everybody may read and nobody in particular owns. `modifiedAt`: seconds since 1970. */
export const tarHeader = (path: string, sizeBytes: number, modifiedAt: number): Buffer => {
  const fields: [text: string, at: number][] = [
    [path, 0],
    ['0000644', 100],
    ['0000000', 108],
    ['0000000', 116],
    [sizeBytes.toString(8).padStart(11, '0'), 124],
    [modifiedAt.toString(8).padStart(11, '0'), 136],
    // The sum is taken with spaces in its own place.
    [' '.repeat(8), 148],
    ['0', 156],
    ['ustar', 257],
    ['00', 263],
  ];
  const header = Buffer.alloc(BLOCK);
  for (const [text, at] of fields) header.write(text, at, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
};

/** What follows so many bytes of content. */
export const tarPadding = (sizeBytes: number): Buffer => Buffer.alloc((BLOCK - (sizeBytes % BLOCK)) % BLOCK);

/** What ends an archive. */
export const tarEnd = (): Buffer => Buffer.alloc(2 * BLOCK);

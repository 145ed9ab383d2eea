/** Bytes stored once, by what they are: the JetStream object store behind a content-addressed door. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { PlatformError } from '@gantry/contracts/errors';
import { OBJECT_BUCKET } from '@gantry/contracts/subjects';
import type { StoredObject } from '@gantry/contracts/template';
import { Objm, type ObjectStore as Bucket } from '@nats-io/obj';
import type { NatsConnection } from '@nats-io/transport-node';
import { fromNats } from './connect.js';

/** Objects by the SHA-256 of their bytes (hex). All methods throw `unavailable` when the store does not answer. */
export interface ObjectStore {
  /** Stores bytes and says what they are. Bytes that are there already are not sent again. A stream is spooled to a file first. */
  put(bytes: Uint8Array | Readable): Promise<StoredObject>;
  /** The bytes, or null when there are none. The stream ends with a `defect` when what came is not what was asked for. */
  get(sha256: string): Promise<Readable | null>;
  /** Whether the bytes are there. */
  has(sha256: string): Promise<boolean>;
}

/** The store over a connection; the bucket must exist (`ensureStreams`). */
export const createObjectStore = (nc: NatsConnection): ObjectStore => {
  let opened: Promise<Bucket> | null = null;
  const bucket = (): Promise<Bucket> => {
    opened ??= new Objm(nc).open(OBJECT_BUCKET).catch((error: unknown) => {
      opened = null;
      throw error;
    });
    return opened;
  };
  const working = async <T>(doing: string, work: (store: Bucket) => Promise<T>): Promise<T> => {
    try {
      return await work(await bucket());
    } catch (error) {
      throw fromNats(error, doing);
    }
  };
  const exists = async (store: Bucket, sha256: string): Promise<boolean> => {
    const info = await store.info(sha256);
    return info !== null && !info.deleted;
  };
  const store = (object: StoredObject, read: () => Readable): Promise<StoredObject> =>
    working(`store the object ${object.sha256}`, async (open) => {
      if (!(await exists(open, object.sha256))) {
        await open.put({ name: object.sha256 }, Readable.toWeb(read()) as ReadableStream<Uint8Array>, {
          timeout: 10_000,
        });
      }
      return object;
    });
  return {
    put: async (bytes) => {
      if (!(bytes instanceof Readable)) return store(describe(bytes), () => Readable.from(piecesOf(bytes)));
      const spooled = await spool(bytes);
      try {
        return await store(spooled.object, () => createReadStream(spooled.file));
      } finally {
        await rm(spooled.file, { force: true });
      }
    },
    get: (sha256) =>
      working(`read the object ${sha256}`, async (open) => {
        if (!(await exists(open, sha256))) return null;
        const found = await open.get(sha256);
        if (!found) return null;
        // The client reports its own digest check here; ours below covers it, but a rejection unheard would end the process.
        found.error.catch(() => undefined);
        return Readable.fromWeb(found.data as Parameters<typeof Readable.fromWeb>[0]).compose(
          verifying(sha256),
        ) as Readable;
      }),
    has: (sha256) => working(`look for the object ${sha256}`, (open) => exists(open, sha256)),
  };
};

const describe = (bytes: Uint8Array): StoredObject => ({
  sha256: createHash('sha256').update(bytes).digest('hex'),
  sizeBytes: bytes.byteLength,
});

const pieceBytes = 128 * 1024;

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += pieceBytes)
    yield bytes.subarray(start, start + pieceBytes);
}

const spool = async (source: Readable): Promise<{ file: string; object: StoredObject }> => {
  const file = join(tmpdir(), `gantry-object-${randomUUID()}`);
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const handle = await open(file, 'wx', 0o600);
  try {
    for await (const piece of source as AsyncIterable<Uint8Array>) {
      hash.update(piece);
      sizeBytes += piece.byteLength;
      await handle.writeFile(piece);
    }
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  return { file, object: { sha256: hash.digest('hex'), sizeBytes } };
};

const verifying = (sha256: string): Transform => {
  const hash = createHash('sha256');
  return new Transform({
    transform: (piece: Buffer, _encoding, done) => {
      hash.update(piece);
      done(null, piece);
    },
    flush: (done) => {
      const found = hash.digest('hex');
      done(
        found === sha256
          ? null
          : new PlatformError(
              'defect',
              `The object store gave other bytes for ${sha256} (they are ${found}): the object is damaged.`,
              {
                details: { expected: sha256, found },
              },
            ),
      );
    },
  });
};

/** The archive that a URL names. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { PlatformError } from '@gantry/contracts/errors';
import type { Archive } from '../retention.port.js';
import { createFileArchive } from './archive-files.js';
import { createS3Archive, type S3Credentials } from './archive-s3.js';

/** `file:///folder`, `s3://bucket` or `s3://bucket/prefix`. */
export const ARCHIVE_URL =
  /^(?:file:\/\/\/[^\s]+|s3:\/\/[a-z0-9][a-z0-9.-]+[a-z0-9](?:\/[A-Za-z0-9._/-]+)?)$/;

/** How to reach S3; none of it is needed for files. */
export interface S3Access {
  /** AWS's own for the region when left out. */
  endpoint?: string;
  region: string;
  pathStyle: boolean;
  /** AWS's shared credentials format, profile `default`; read anew for each request. Goes before the two keys. */
  credentialsFile?: string;
  accessKeyId?: string;
  secretAccessKey?: string;
  caFile?: string;
}

/** Opens it; nothing is asked of it yet. Throws `invalid` for an S3 archive without credentials, or a CA file that cannot be read. */
export const openArchive = (location: string, access: S3Access): Archive => {
  const url = new URL(location);
  if (url.protocol === 'file:') return createFileArchive(fileURLToPath(url));
  const { region, pathStyle, credentialsFile, accessKeyId, secretAccessKey, caFile } = access;
  if (!credentialsFile && !(accessKeyId && secretAccessKey))
    throw new PlatformError(
      'invalid',
      'An archive in S3 needs credentials: a credentials file, or an access key id and a secret access key.',
    );
  return createS3Archive({
    endpoint: access.endpoint ?? `https://s3.${region}.amazonaws.com`,
    region,
    bucket: url.hostname,
    prefix: url.pathname.replace(/^\/+|\/+$/g, ''),
    pathStyle,
    ca: caFile === undefined ? undefined : readCa(caFile),
    credentials: credentialsFile
      ? () => readCredentials(credentialsFile)
      : () => Promise.resolve({ accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! }),
  });
};

const readCa = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new PlatformError(
      'invalid',
      `The authorities of the archive cannot be read from ${file}: ${(error as Error).message}`,
    );
  }
};

/** Reads `aws_access_key_id` and so on of the profile `default`. Throws `refused`, naming the file and never its content. */
export const readCredentials = async (file: string): Promise<S3Credentials> => {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new PlatformError('refused', `The archive's credentials cannot be read: ${error.message}`);
  });
  const found = new Map<string, string>();
  let profile = 'default';
  for (const line of text.split(/\r?\n/)) {
    const heading = /^\s*\[(.+)\]\s*$/.exec(line);
    if (heading) profile = heading[1]!.trim();
    const pair = /^\s*([a-z_]+)\s*=\s*(\S+)\s*$/.exec(line);
    if (pair && profile === 'default') found.set(pair[1]!, pair[2]!);
  }
  const [accessKeyId, secretAccessKey] = [found.get('aws_access_key_id'), found.get('aws_secret_access_key')];
  if (!accessKeyId || !secretAccessKey)
    throw new PlatformError(
      'refused',
      `${file} has no aws_access_key_id and aws_secret_access_key under [default].`,
    );
  const sessionToken = found.get('aws_session_token');
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
};

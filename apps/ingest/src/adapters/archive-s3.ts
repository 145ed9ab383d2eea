/**
 * An archive in a bucket of anything that speaks S3's REST protocol. Requests are signed with AWS Signature Version 4
 * (aws4fetch); the body's own SHA-256 is part of the signature, so a server that took other bytes has to refuse them.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAPI.html
 */
import { createReadStream } from 'node:fs';
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PlatformError } from '@gantry/contracts/errors';
import { AwsV4Signer } from 'aws4fetch';
import type { Archive, ArchiveFile } from '../retention.port.js';

/** Who asks. */
export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** Where a bucket is. */
export interface S3Settings {
  /** `https://s3.eu-central-1.amazonaws.com`, `http://127.0.0.1:9000`. */
  endpoint: string;
  region: string;
  bucket: string;
  /** Before every name, without slashes at its ends; empty for none. */
  prefix: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  pathStyle: boolean;
  /** Asked before each request, so that rotated keys are taken up. Throws `refused` when there are none. */
  credentials(): Promise<S3Credentials>;
  /** PEM of the authorities to trust instead of the usual ones. */
  ca?: string;
  /** Silence after which a request is given up; 60 s when left out. */
  idleMilliseconds?: number;
}

/** S3's own limit of one PUT. */
const MOST_BYTES = 5 * 1024 ** 3;
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Over one bucket, which exists. */
export const createS3Archive = (settings: S3Settings): Archive => {
  const { bucket, prefix } = settings;
  const keyOf = (name: string): string => (prefix === '' ? name : `${prefix}/${name}`);
  const urlOf = (name: string): URL => {
    const url = new URL(settings.endpoint);
    if (!settings.pathStyle) url.hostname = `${bucket}.${url.hostname}`;
    url.pathname = `${url.pathname.replace(/\/$/, '')}${settings.pathStyle ? `/${bucket}` : ''}/${keyOf(name)}`;
    return url;
  };
  return {
    location: `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`,
    locate: (name) => `s3://${bucket}/${keyOf(name)}`,
    put: async (name, file) => {
      if (file.sizeBytes > MOST_BYTES)
        throw new PlatformError(
          'refused',
          `${name} is larger than S3 takes at once (5 GiB): archive to files.`,
          {
            details: { reason: 'archive_too_large', sizeBytes: file.sizeBytes },
          },
        );
      const response = await send(settings, 'PUT', urlOf(name), file);
      const body = await textOf(response);
      if (response.statusCode !== 200) throw refusal(name, response, body);
    },
    get: async (name) => {
      const response = await send(settings, 'GET', urlOf(name));
      if (response.statusCode === 200) return response;
      const body = await textOf(response);
      if (response.statusCode === 404 && codeOf(body) !== 'NoSuchBucket') return null;
      throw refusal(name, response, body);
    },
  };
};

const send = async (
  settings: S3Settings,
  method: 'GET' | 'PUT',
  url: URL,
  file?: ArchiveFile,
): Promise<IncomingMessage> => {
  const credentials = await settings.credentials();
  const signed = await new AwsV4Signer({
    ...credentials,
    method,
    url: url.href,
    service: 's3',
    region: settings.region,
    headers: { 'x-amz-content-sha256': file?.sha256 ?? EMPTY_SHA256 },
  }).sign();
  const headers = {
    ...Object.fromEntries(signed.headers),
    host: url.host,
    ...(file ? { 'content-length': String(file.sizeBytes), 'content-type': 'application/x-tar' } : {}),
  };
  const away = (error: unknown): PlatformError =>
    new PlatformError(
      'unavailable',
      `The archive at ${url.host} cannot be reached: ${(error as Error).message}`,
      {
        cause: error,
        details: { reason: 'archive' },
      },
    );
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(
      url,
      { method, headers, ca: settings.ca },
      resolve,
    );
    request.setTimeout(settings.idleMilliseconds ?? 60_000, () => request.destroy(new Error('it is silent')));
    request.on('error', (error) => reject(away(error)));
    const body: Promise<void> = file
      ? pipeline(createReadStream(file.path), request)
      : Promise.resolve(void request.end());
    // A server may answer before it has read everything; what it says counts, not the broken pipe.
    body.catch(() => undefined);
  });
};

const textOf = async (response: Readable): Promise<string> => {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of response) pieces.push(piece as Buffer);
  } catch {
    return '';
  }
  return Buffer.concat(pieces).toString().slice(0, 4_096);
};

const codeOf = (body: string): string => /<Code>([^<]*)<\/Code>/.exec(body)?.[1] ?? '';

const refusal = (name: string, response: IncomingMessage, body: string): PlatformError => {
  const status = response.statusCode ?? 0;
  const passing = status >= 500 || status === 429 || status === 408 || status === 0;
  const words = /<Message>([^<]*)<\/Message>/.exec(body)?.[1] ?? response.statusMessage ?? '';
  return new PlatformError(
    passing ? 'unavailable' : 'refused',
    `The archive refuses ${name}: ${codeOf(body) || status} ${words}`.trim(),
    { details: { reason: 'archive', status, code: codeOf(body) } },
  );
};

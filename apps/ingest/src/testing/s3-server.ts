/**
 * An S3 server for tests: `s3rver` from npm, which speaks S3's REST protocol and keeps objects as files, behind a door that
 * checks what it leaves out (s3rver computes no Signature Version 4 and no hash of the body; read in its source, 3.7.1). It
 * is neither AWS nor Ceph nor MinIO: durability, policies and redirects between regions are not shown by it.
 */
import { createHash, createHmac } from 'node:crypto';
import {
  createServer as createHttp,
  request,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import S3rver from 's3rver';

/** A running server. */
export interface TestS3 {
  endpoint: string;
  region: string;
  bucket: string;
  keys: { accessKeyId: string; secretAccessKey: string };
  stop(): Promise<void>;
}

const keys = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' };
const [region, bucket] = ['eu-test-1', 'records'];

/** Starts one over a folder with the bucket `records`; with a certificate it speaks TLS. */
export const startS3 = async (
  directory: string,
  certificate?: { key: string; cert: string },
): Promise<TestS3> => {
  const inner = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: bucket, configs: [] }],
  });
  const { port: innerPort } = (await inner.run()) as AddressInfo;
  const listener: RequestListener = (incoming, outgoing) => void letIn(innerPort, incoming, outgoing);
  const door: Server = certificate ? createHttps(certificate, listener) : createHttp(listener);
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `${certificate ? 'https' : 'http'}://127.0.0.1:${(door.address() as AddressInfo).port}`,
    region,
    bucket,
    keys,
    stop: async () => {
      door.closeAllConnections();
      await new Promise((resolve) => door.close(resolve));
      await inner.close();
    },
  };
};

const letIn = async (port: number, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
  const pieces: Buffer[] = [];
  for await (const piece of incoming) pieces.push(piece as Buffer);
  const body = Buffer.concat(pieces);
  const wrong = complaint(incoming, body);
  if (wrong) {
    outgoing.writeHead(403, { 'content-type': 'application/xml' });
    outgoing.end(
      `<?xml version="1.0"?><Error><Code>${wrong}</Code><Message>Checked at the door.</Message></Error>`,
    );
    return;
  }
  const { method, url: path, headers } = incoming;
  request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(outgoing);
  }).end(body);
};

/**
 * Signature Version 4 computed from its specification, for comparison with what came.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
const complaint = ({ method, url, headers }: IncomingMessage, body: Buffer): string | null => {
  const said = /^AWS4-HMAC-SHA256 Credential=(\S+), ?SignedHeaders=(\S+), ?Signature=([0-9a-f]{64})$/.exec(
    headers.authorization ?? '',
  );
  if (!said) return 'AccessDenied';
  const [, credential = '', signedHeaders = '', signature] = said;
  const [accessKeyId, date = '', inRegion = '', service = '', end = ''] = credential.split('/');
  if (accessKeyId !== keys.accessKeyId) return 'InvalidAccessKeyId';
  if (inRegion !== region || service !== 's3' || end !== 'aws4_request')
    return 'AuthorizationHeaderMalformed';
  const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');
  const bodyHash = String(headers['x-amz-content-sha256']);
  if (bodyHash !== sha256(body)) return 'XAmzContentSHA256Mismatch';
  const names = signedHeaders.split(';');
  if (!names.includes('host') || !names.includes('x-amz-content-sha256')) return 'AccessDenied';
  const [path, search = ''] = url!.split('?');
  const canonical = [
    method,
    path,
    search,
    ...names.map((name) => `${name}:${String(headers[name]).trim()}`),
    '',
    signedHeaders,
    bodyHash,
  ].join('\n');
  const toSign = [
    'AWS4-HMAC-SHA256',
    headers['x-amz-date'],
    [date, inRegion, service, end].join('/'),
    sha256(canonical),
  ].join('\n');
  const hmac = (key: string | Buffer, text: string): Buffer =>
    createHmac('sha256', key).update(text).digest();
  const signingKey = [date, inRegion, service, end].reduce<string | Buffer>(
    (key, part) => hmac(key, part),
    `AWS4${keys.secretAccessKey}`,
  );
  return hmac(signingKey, toSign).toString('hex') === signature ? null : 'SignatureDoesNotMatch';
};

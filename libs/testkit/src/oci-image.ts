/** Puts small images into a registry by the distribution API, without an engine: of any platform, and broken ones too. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { gzipSync } from 'node:zlib';
import type { TestRegistry } from './registry.js';

/** An image to be made. */
export interface TestImage {
  /** `team/ee` */
  repository: string;
  /** Without one it is there by its digest alone. */
  tag?: string;
  /** amd64 when left out. */
  architecture?: string;
  os?: string;
  labels?: Record<string, string>;
  /** What its one layer holds: path to content. A file that says the time of its making when left out. */
  files?: Record<string, string>;
}

/** Part of an image, as manifests name it. */
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { architecture: string; os: string };
}

const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
};

/** Makes an image of one layer and pushes it; returns its manifest's descriptor. Throws an Error with the registry's words. */
export const pushImage = async (registry: TestRegistry, image: TestImage): Promise<Descriptor> => {
  const { repository, tag, architecture = 'amd64', os = 'linux', labels = {} } = image;
  const tar = tarOf(image.files ?? { 'made-at': `${new Date().toISOString()} ${Math.random()}` });
  const layer = await pushBlob(registry, repository, types.layer, gzipSync(tar));
  const config = await pushBlob(
    registry,
    repository,
    types.config,
    json({
      architecture,
      os,
      config: { Labels: labels, Cmd: ['/made-at'] },
      rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
      history: [{ created: '2026-01-01T00:00:00Z', created_by: 'gantry-test' }],
    }),
  );
  const manifest = { schemaVersion: 2, mediaType: types.manifest, config, layers: [layer] };
  const pushed = await pushManifest(registry, repository, tag, types.manifest, json(manifest));
  return { ...pushed, platform: { architecture, os } };
};

/** Puts images of several platforms under one tag. */
export const pushIndex = (
  registry: TestRegistry,
  { repository, tag }: Pick<TestImage, 'repository' | 'tag'>,
  manifests: Descriptor[],
): Promise<Descriptor> =>
  pushManifest(
    registry,
    repository,
    tag,
    types.index,
    json({ schemaVersion: 2, mediaType: types.index, manifests }),
  );

/** Removes a manifest: what names this digest is not found any more. */
export const deleteManifest = async (
  registry: TestRegistry,
  repository: string,
  digest: string,
): Promise<void> => {
  await call(registry, 'DELETE', `/v2/${repository}/manifests/${digest}`);
};

const pushManifest = async (
  registry: TestRegistry,
  repository: string,
  tag: string | undefined,
  mediaType: string,
  content: Buffer,
): Promise<Descriptor> => {
  const digest = digestOf(content);
  await call(registry, 'PUT', `/v2/${repository}/manifests/${tag ?? digest}`, content, mediaType);
  return { mediaType, digest, size: content.length };
};

const pushBlob = async (
  registry: TestRegistry,
  repository: string,
  mediaType: string,
  content: Buffer,
): Promise<Descriptor> => {
  const digest = digestOf(content);
  const place = new URL(await call(registry, 'POST', `/v2/${repository}/blobs/uploads/`));
  place.searchParams.set('digest', digest);
  await call(registry, 'PUT', `${place.pathname}${place.search}`, content, 'application/octet-stream');
  return { mediaType, digest, size: content.length };
};

/** Sends a request; returns the Location it answers with. */
const call = (
  { host, login, caFile }: TestRegistry,
  method: string,
  path: string,
  content: Buffer = Buffer.alloc(0),
  contentType?: string,
): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request(
      `https://${host}${path}`,
      {
        method,
        ca: readFileSync(caFile),
        agent: false,
        ...(login ? { auth: `${login.username}:${login.password}` } : {}),
        headers: {
          'content-length': content.length,
          ...(contentType === undefined ? {} : { 'content-type': contentType }),
        },
      },
      (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
        answer.on('end', () => {
          if ((answer.statusCode ?? 500) < 300)
            resolve(new URL(answer.headers.location ?? '/', `https://${host}`).href);
          else
            reject(
              new Error(`The test registry answered ${method} ${path} with ${answer.statusCode}: ${text}`),
            );
        });
      },
    );
    sent.on('error', reject);
    sent.end(content);
  });

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const digestOf = (content: Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`;

/** A tar of plain files that everybody may read. Format: POSIX.1-1988 (ustar). */
const tarOf = (files: Record<string, string>): Buffer => {
  const blocks = Object.entries(files).flatMap(([path, text]) => {
    const content = Buffer.from(text);
    const header = Buffer.alloc(512);
    header.write(path, 0);
    header.write('0000644\0' + '0000000\0' + '0000000\0', 100);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0${'0'.repeat(11)}\0`, 124);
    header.write('        0', 148);
    header.write('ustar\x0000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
};

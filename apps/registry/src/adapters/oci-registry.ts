/**
 * Asks an image's registry what a tag means and what the image is made for, by the OCI distribution API.
 * Source: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md, image-spec v1.1 (index, config).
 */
import { createHash } from 'node:crypto';
import type { ImageReference } from '../domain/image-reference.js';
import type { Lookup } from '../domain/resolution.js';
import type { Login } from './oci-auth.js';
import {
  createSend,
  describeFailure,
  parseObject,
  readLimited,
  refusalOf,
  type LookupLimits,
} from './oci-http.js';
import { createSessions, type Ask } from './oci-session.js';

/** What the installation says of registries. */
export interface RegistrySettings {
  /** PEM of every authority to trust; null = those of Node.js. */
  ca: readonly string[] | null;
  /** Hosts to ask first, by the registry that they mirror: `docker.io` -> `mirror.example:5000`. Asked without a login. */
  mirrors: Readonly<Record<string, readonly string[]>>;
}

/** A question. */
export interface Question {
  login?: Login | null;
  /** What is known of a digest, so that it need not be asked again. */
  known?: { digest: string; platforms: string[] } | null;
  limits?: LookupLimits;
}

/** Looks an image up. Never throws for what the network or the registry does. */
export type LookupImage = (image: ImageReference, question?: Question) => Promise<Lookup>;

// Without the OCI types a registry says "not found" about an OCI image (seen with docker-registry 2.8).
const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
const mostBytes = { manifest: 4 * 1024 * 1024, config: 4 * 1024 * 1024, answer: 64 * 1024 };
const digestPattern = /^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;
/** Platforms by digest: what a digest names never changes. */
const mostPlatforms = 1_000;

/** Of a lookup that nobody waits for with something better at hand. */
export const patientLimits: LookupLimits = { request: 10_000, whole: 20_000 };

/** A mirror is there to be quick: one that is silent is passed over soon, and then for a while. */
const mirrorLimits: LookupLimits = { request: 3_000, whole: 4_000 };
const mirrorRestMilliseconds = 60_000;

/** A client of all registries. `close` ends its connections. */
export const createRegistryClient = ({
  ca,
  mirrors,
}: RegistrySettings): { lookup: LookupImage; close(): Promise<void> } => {
  const { send, close } = createSend(ca);
  const session = createSessions(send);
  const platformsOf = new Map<string, string[]>();
  const restsUntil = new Map<string, number>();

  const ask = async (host: string, image: ImageReference, question: Question): Promise<Lookup> => {
    const limits = question.limits ?? patientLimits;
    const request = session(host, image.path, question.login ?? null, limits);
    const wanted = image.digest ?? image.tag ?? 'latest';
    try {
      const head = await request('HEAD', `manifests/${wanted}`, manifestTypes);
      const told = head.headers.get('docker-content-digest');
      if (head.ok && told !== null && digestPattern.test(told)) {
        const known = question.known?.digest === told ? question.known.platforms : platformsOf.get(told);
        const platforms = known ?? (await readPlatforms(request, told));
        return { found: true, digest: told, platforms };
      }
      // No digest in the header, or a no: the body has it, or the words.
      const answer = await request('GET', `manifests/${wanted}`, manifestTypes);
      const body = await readLimited(answer, answer.ok ? mostBytes.manifest : mostBytes.answer);
      if (!answer.ok) return refusalOf(answer, body);
      const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
      return { found: true, digest, platforms: await platformsIn(request, digest, body) };
    } catch (error) {
      return describeFailure(error, host, limits.request);
    }
  };

  /** What an image is made for; null when the registry does not say. Not knowing it stops nobody. */
  const readPlatforms = async (request: Ask, digest: string): Promise<string[] | null> => {
    try {
      const answer = await request('GET', `manifests/${digest}`, manifestTypes);
      const body = await readLimited(answer, mostBytes.manifest);
      return answer.ok ? await platformsIn(request, digest, body) : null;
    } catch {
      return null;
    }
  };

  const platformsIn = async (request: Ask, digest: string, body: Buffer): Promise<string[] | null> => {
    const manifest = parseObject(body);
    const found = Array.isArray(manifest['manifests'])
      ? manifest['manifests'].flatMap((entry) => platformIn((entry as { platform?: unknown }).platform))
      : await configPlatform(request, (manifest['config'] as { digest?: unknown } | undefined)?.digest);
    if (found === null) return null;
    if (platformsOf.size >= mostPlatforms) platformsOf.clear();
    const platforms = [...new Set(found)].slice(0, 50);
    platformsOf.set(digest, platforms);
    return platforms;
  };

  const configPlatform = async (request: Ask, digest: unknown): Promise<string[] | null> => {
    if (typeof digest !== 'string' || !digestPattern.test(digest)) return null;
    try {
      const answer = await request('GET', `blobs/${digest}`, '*/*');
      if (!answer.ok) return null;
      return platformIn(parseObject(await readLimited(answer, mostBytes.config)));
    } catch {
      return null;
    }
  };

  const lookup: LookupImage = async (image, question = {}) => {
    // Mirrors are asked without the login: it is the registry's own.
    for (const mirror of mirrors[image.domain] ?? []) {
      if ((restsUntil.get(mirror) ?? 0) > performance.now()) continue;
      const found = await ask(mirror, image, { ...question, login: null, limits: mirrorLimits });
      if (found.found) return found;
      if (found.failure === 'away' || found.failure === 'rate_limited')
        restsUntil.set(mirror, performance.now() + mirrorRestMilliseconds);
    }
    return ask(image.domain === 'docker.io' ? 'registry-1.docker.io' : image.domain, image, question);
  };
  return { lookup, close };
};

/** `linux/arm64/v8`; nothing for what is no platform (attestations are `unknown/unknown`). */
const platformIn = (value: unknown): string[] => {
  const { os, architecture, variant } = (value ?? {}) as Record<string, unknown>;
  const parts = [os, architecture, ...(typeof variant === 'string' && variant !== '' ? [variant] : [])];
  const right = parts.every((part) => typeof part === 'string' && /^[a-z0-9._-]{1,40}$/i.test(part));
  return right && os !== 'unknown' ? [parts.join('/')] : [];
};

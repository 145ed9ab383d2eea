/**
 * References to images, as distribution's grammar has them: [domain/]path[:tag][@digest].
 * Source: https://pkg.go.dev/github.com/distribution/reference
 */
import { PlatformError } from '@gantry/contracts/errors';

/** A reference in full: Docker's short names are spelled out. */
export interface ImageReference {
  /** Host, with a port if it has one: `quay.io`, `localhost:5000`. */
  domain: string;
  /** `ansible/awx-ee` */
  path: string;
  tag: string | null;
  /** `sha256:...` */
  digest: string | null;
}

const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const domainPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPatterns: Record<string, RegExp> = { sha256: /^[a-f0-9]{64}$/, sha512: /^[a-f0-9]{128}$/ };
const longestName = 255;

/** Reads a reference. Throws `invalid` that quotes the part which is wrong and says what it may be. */
export const parseImageReference = (text: string): ImageReference => {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//.exec(text)?.[0];
  if (scheme) throw wrong(scheme, 'an image is named without a scheme, as in quay.io/ansible/awx-ee:latest');
  const at = text.indexOf('@');
  const digest = at < 0 ? null : checkDigest(text.slice(at + 1));
  const { domain, remote } = splitDomain(at < 0 ? text : text.slice(0, at));
  const colon = remote.lastIndexOf(':');
  const tag = colon > remote.lastIndexOf('/') ? remote.slice(colon + 1) : null;
  const path = tag === null ? remote : remote.slice(0, colon);

  if (domain !== null && (!domainPattern.test(domain) || !portIsRight(domain))) {
    throw wrong(domain, 'the registry is a host name or address, with a port if needed');
  }
  if (tag !== null && !tagPattern.test(tag)) {
    throw wrong(
      tag,
      'a tag is made of at most 128 letters, digits, "_", "." and "-", and does not begin with "." or "-"',
    );
  }
  for (const component of path.split('/')) {
    if (componentPattern.test(component)) continue;
    if (component === '')
      throw wrong(text, path === '' ? 'the name of the image is missing' : 'a part of the path is empty');
    throw wrong(
      component,
      `a part of the path is made of ${/[A-Z]/.test(component) ? 'lower case letters' : 'a-z'}, 0-9 and single ".", "_" or "-" between them`,
    );
  }
  if (domain === null && digestPatterns['sha256']!.test(path))
    throw wrong(path, 'this is an image id; name the image');
  const full = expand(domain, path);
  if (`${full.domain}/${full.path}`.length > longestName)
    throw wrong(path, `a name has at most ${longestName} characters`);
  return { ...full, tag, digest };
};

/** The reference as text, in full. */
export const formatImageReference = ({ domain, path, tag, digest }: ImageReference): string =>
  `${domain}/${path}${tag === null ? '' : `:${tag}`}${digest === null ? '' : `@${digest}`}`;

/** True for an image that no registry has: it was built on, or loaded into, the machine that runs it. */
export const isEngineLocal = ({ domain }: ImageReference): boolean => domain === 'localhost';

/** As Kubernetes: always for the tag `latest` or none, else when it is missing. */
export const defaultPull = ({ tag, digest }: ImageReference): 'always' | 'missing' =>
  digest === null && (tag === null || tag === 'latest') ? 'always' : 'missing';

const splitDomain = (name: string): { domain: string | null; remote: string } => {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isDomain =
    slash >= 0 && (/[.:[]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  return isDomain ? { domain: first, remote: name.slice(slash + 1) } : { domain: null, remote: name };
};

const expand = (domain: string | null, path: string): { domain: string; path: string } => {
  if (domain !== null && domain !== 'docker.io' && domain !== 'index.docker.io') return { domain, path };
  return { domain: 'docker.io', path: path.includes('/') ? path : `library/${path}` };
};

const portIsRight = (domain: string): boolean => {
  const port = /:([0-9]+)$/.exec(domain)?.[1];
  return port === undefined || domain.endsWith(']') || (Number(port) >= 1 && Number(port) <= 65_535);
};

const checkDigest = (digest: string): string => {
  const [algorithm = '', hex = '', ...more] = digest.split(':');
  const pattern = Object.hasOwn(digestPatterns, algorithm) ? digestPatterns[algorithm] : undefined;
  if (!pattern?.test(hex) || more.length > 0)
    throw wrong(digest, 'a digest is sha256: and 64, or sha512: and 128, hexadecimal digits in lower case');
  return digest;
};

const wrong = (part: string, rule: string): PlatformError => {
  const quoted = JSON.stringify(part.length > 100 ? `${part.slice(0, 100)}...` : part);
  return new PlatformError('invalid', `The image reference is not right at ${quoted}: ${rule}.`, {
    details: { field: 'image', part: part.slice(0, 100) },
  });
};

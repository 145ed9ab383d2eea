/**
 * Which git URLs and refs are taken. git reads options, helper programs and local paths out of both (CVE-2017-1000117,
 * CVE-2018-17456, CVE-2022-24439), so only what is known to be harmless passes. Messages never quote a URL's user part.
 */
import { PlatformError } from '@gantry/contracts/errors';

/** Where a repository is. */
export interface GitAddress {
  /** As git gets it. */
  url: string;
  scheme: 'https' | 'http' | 'ssh' | 'git' | 'file';
  host: string;
  port: number;
}

const ports = { https: 443, http: 80, ssh: 22, git: 9418, file: 0 } as const;
const hostName = /^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])$/;

/** Reads an scmUrl. Throws `invalid`. `allowFile` is for tests. */
export const parseGitAddress = (text: string, { allowFile = false } = {}): GitAddress => {
  if (text === '') throw invalid('is empty: give the URL of a git repository, https://host/path');
  if (/[\s\u0000-\u001f\u007f]/.test(text)) throw invalid('has spaces or control characters');
  if (text.startsWith('-')) throw invalid('begins with a minus sign');
  if (/^[A-Za-z][\w+.-]*::/.test(text))
    throw invalid('names a helper program (word::): only https, http, ssh and git are taken');
  return text.includes('://') ? fromUrl(text, allowFile) : fromShortSsh(text);
};

const fromUrl = (text: string, allowFile: boolean): GitAddress => {
  const scheme = text.slice(0, text.indexOf('://')).toLowerCase();
  if (scheme === 'file' && allowFile) return { url: text, scheme, host: '', port: 0 };
  if (!(scheme in ports) || scheme === 'file')
    throw invalid(`has the scheme ${scheme.slice(0, 20)}: only https, http, ssh and git are taken`);
  // WHATWG treats unknown schemes opaquely; an http URL has the same parts and is checked fully.
  const parts = URL.canParse(`http${text.slice(scheme.length)}`)
    ? new URL(`http${text.slice(scheme.length)}`)
    : null;
  if (!parts) throw invalid('is not a URL');
  const isSsh = scheme === 'ssh';
  if (parts.password !== '' || (parts.username !== '' && !isSsh)) {
    throw invalid('holds a user name or password: leave it out; a token in a URL ends up in logs');
  }
  if (isSsh) checkUser(decodeURIComponent(parts.username));
  // The scheme's own port shows as '' only for http; read it from the text.
  const authority = text.slice(scheme.length + 3).split(/[/?#]/)[0]!;
  const [host, port] = splitPort(
    authority.slice(authority.lastIndexOf('@') + 1),
    ports[scheme as keyof typeof ports],
  );
  if (parts.pathname === '/' || parts.pathname === '') throw invalid('has no path');
  if (parts.pathname.startsWith('/-') || parts.pathname.startsWith('/~-'))
    throw invalid('has a path that begins with a minus sign');
  return { url: text, scheme: scheme as GitAddress['scheme'], host, port };
};

/** user@host:path */
const fromShortSsh = (text: string): GitAddress => {
  const match = /^([^@:/]+)@([^@:/]+|\[[^\]]+\]):(?!\/\/)(.+)$/.exec(text);
  if (!match)
    throw invalid(
      'is not a URL of a git repository: write https://host/path, ssh://user@host/path or user@host:path',
    );
  const [, user, host, path] = match as unknown as [string, string, string, string];
  checkUser(user);
  if (path.startsWith('-')) throw invalid('has a path that begins with a minus sign');
  return { url: text, scheme: 'ssh', host: splitPort(host, 22)[0], port: 22 };
};

const checkUser = (user: string): void => {
  if (user !== '' && !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(user))
    throw invalid('has a user name with characters that are not taken');
};

const splitPort = (authority: string, usual: number): [string, number] => {
  const match = /^(.*?)(?::(\d*))?$/.exec(
    authority.startsWith('[') ? authority.slice(authority.indexOf(']') + 1) : authority,
  )!;
  const host = authority.startsWith('[') ? authority.slice(0, authority.indexOf(']') + 1) : match[1]!;
  const port = match[2] ? Number(match[2]) : usual;
  if (!hostName.test(host)) throw invalid('has no proper host name');
  if (port < 1 || port > 65_535) throw invalid('has a port that does not exist');
  return [host.replace(/^\[|\]$/g, ''), port];
};

/** Checks a branch, tag or commit; empty means the remote's default branch. Throws `invalid`. */
export const checkRef = (ref: string, field = 'scmBranch'): void => {
  if (ref === '') return;
  const wrong = (why: string): PlatformError =>
    new PlatformError('invalid', `${field} ${why}: give a branch, a tag or a commit.`, {
      details: { field },
    });
  if (ref.startsWith('-')) throw wrong('begins with a minus sign');
  if (/[\s\u0000-\u001f\u007f~^:?*[\]\\'"`$;&|<>(){}!]/.test(ref))
    throw wrong('has a character that no branch name has');
  if (ref.includes('..') || ref.includes('@{') || ref === '@' || ref.endsWith('.'))
    throw wrong('is not a name that git takes');
  if (ref.split('/').some((part) => part === '' || part.startsWith('.') || part.endsWith('.lock')))
    throw wrong('is not a name that git takes');
};

const invalid = (why: string): PlatformError =>
  new PlatformError('invalid', `scmUrl ${why}.`, { details: { field: 'scmUrl' } });

/**
 * Versions of packages as keys that sort as the versions do, byte by byte (`collate "C"`), so that Postgres finds a range of
 * versions by index. Each kind has its own order:
 * - collection: Semantic Versioning 2 (the library `semver`), as Galaxy demands; what follows a `+` does not count;
 * - python: PEP 440 (the library `@renovatebot/pep440`);
 * - dpkg: Debian policy 5.6.12, checked against `dpkg --compare-versions` in package-versions.int.spec.ts;
 * - rpm: rpmvercmp of epoch, version and release, with `~` and `^`;
 * - apk: as dpkg, where `_alpha`, `_beta`, `_pre` and `_rc` come before the version without them, `_p` and the like after it.
 * A number is written as its length, then its digits; what ends a list or a word is smaller than what may follow.
 */
import { PlatformError } from '@gantry/contracts/errors';
import type { PackageKind } from '@gantry/contracts/image';
import { explain } from '@renovatebot/pep440';
import semver from 'semver';

/** The key of a version; null for text that is none of that kind: it is found by name only. */
export const versionKey = (kind: PackageKind, version: string): string | null =>
  /^[\x21-\x7e]{1,300}$/.test(version) ? orders[kind](version) : null;

const mostDigits = 60;

const number = (digits: string | number): string => {
  const plain = String(digits).replace(/^0+/, '').slice(0, mostDigits);
  return String.fromCharCode(0x40 + plain.length) + plain;
};

const semanticKey = (version: string): string | null => {
  const parsed = semver.parse(version);
  if (!parsed) return null;
  const prerelease = parsed.prerelease.map((part) =>
    typeof part === 'number' ? `1${number(part)} ` : `2${part} `,
  );
  const release = [parsed.major, parsed.minor, parsed.patch].map(number).join('');
  return release + (prerelease.length === 0 ? '~' : prerelease.join(''));
};

const phases: Record<string, string> = { a: '1', b: '2', rc: '3' };

/** What `explain` gives; its own types say otherwise of the numbers (verified on 4.2.1). */
interface PythonVersion {
  epoch: number;
  release: number[];
  pre: [string, number] | null;
  post: number | null;
  dev: number | null;
  local: string | null;
}

const pythonKey = (version: string): string | null => {
  const parsed = explain(version) as unknown as PythonVersion | null;
  if (!parsed) return null;
  const { epoch, release, pre, post, dev, local } = parsed;
  const counted = [...release];
  while (counted.length > 1 && counted.at(-1) === 0) counted.pop();
  // A development version of the release itself comes before its alphas.
  const withoutPhase = dev !== null && post === null ? '0' : '9';
  return [
    number(epoch),
    ...counted.map((part) => `1${number(part)}`),
    '0',
    pre === null ? withoutPhase : phases[pre[0]]! + number(pre[1]),
    post === null ? '0' : `1${number(post)}`,
    dev === null ? '9' : `1${number(dev)}`,
    ...(local === null ? [] : local.split(/[._-]/)).map((part) =>
      /^\d+$/.test(part) ? `2${number(part)}` : `1${part.toLowerCase()} `,
    ),
  ].join('');
};

/** What no more text is in Debian's order: after `~`, before everything else. */
const end = '"';

const debianPart = (text: string): string => {
  let key = '';
  for (const [, words, digits] of text.matchAll(/([^0-9]*)([0-9]*)/g)) {
    const letters = [...words!].map((one) => (one === '~' ? '!' : /[A-Za-z]/.test(one) ? one : `}${one}`));
    if (words !== '' || digits !== '' || key === '') key += letters.join('') + end + number(digits!);
  }
  return key + end;
};

const debianKey = (version: string): string | null => {
  const match = /^(?:(\d+):)?(.+?)(?:-([^-]*))?$/.exec(version);
  return match && number(match[1] ?? '') + debianPart(match[2]!) + debianPart(match[3] ?? '');
};

const rpmPart = (text: string): string => {
  const segments = (text.match(/[0-9]+|[A-Za-z]+|[~^]/g) ?? []).map((one) => {
    if (one === '~') return '!';
    if (one === '^') return '#';
    return /[0-9]/.test(one) ? `%${number(one)}` : `$${one} `;
  });
  return segments.join('') + end;
};

const rpmKey = (version: string): string | null => {
  const match = /^(?:(\d+):)?(.+?)(?:-([^-]*))?$/.exec(version);
  return match && number(match[1] ?? '') + rpmPart(match[2]!) + rpmPart(match[3] ?? '');
};

const orders: Record<PackageKind, (version: string) => string | null> = {
  collection: semanticKey,
  python: pythonKey,
  dpkg: debianKey,
  rpm: rpmKey,
  apk: (version) => debianKey(version.replace(/_(alpha|beta|pre|rc)/g, '~$1').replace(/_/g, '+')),
};

/** A comparison in SQL's words. */
export interface Comparison {
  operator: '<' | '<=' | '>' | '>=' | '=' | 'is distinct from';
  key: string;
}

const operators: Record<string, Comparison['operator']> = {
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
  '=': '=',
  '==': '=',
  '!=': 'is distinct from',
  '': '=',
};

/**
 * Comparisons joined by commas, for one kind: "< 8", ">=7.1, !=7.3.0". A collection's version may be cut short: 8 is 8.0.0.
 * Null when a version is none of this kind. Throws `invalid` for a comparison that is none.
 */
export const readComparisons = (kind: PackageKind, text: string): Comparison[] | null => {
  const comparisons = text.split(',').map((part) => {
    const match = /^\s*(<=|>=|==|!=|=|<|>|)\s*([A-Za-z0-9][^\s<>=!]*)\s*$/.exec(part);
    if (!match) throw notAComparison(part.trim());
    const [, operator, version] = match;
    const key = versionKey(kind, kind === 'collection' ? filledUp(version!) : version!);
    return key === null ? null : { operator: operators[operator!]!, key };
  });
  return comparisons.every((one) => one !== null) ? comparisons : null;
};

/** `invalid`, for a comparison (or a version in it) that cannot be understood. */
export const notAComparison = (part: string): PlatformError =>
  new PlatformError(
    'invalid',
    `${JSON.stringify(part.slice(0, 100))} is no comparison of versions: write <, <=, >, >=, = or != and a version, joined by commas, as in ">=7.1, <8".`,
    { details: { field: 'version', part: part.slice(0, 100) } },
  );

const filledUp = (version: string): string => {
  const match = /^(\d+)(?:\.(\d+))?$/.exec(version);
  return match ? `${match[1]}.${match[2] ?? '0'}.0` : version;
};

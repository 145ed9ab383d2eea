/** gantry ee inspect, diff, sbom and find: what is in the images of execution environments. */
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fromWire, PlatformError, type ErrorOnWire } from '@gantry/contracts/errors';
import { findEndpoint, request, type Endpoint } from './client.js';
import { findEe } from './find.js';
import { sayBytes } from './retention.command.js';
import { exitCodes, paint, print, printJson, safeOutput, table } from './terminal.js';

const IMAGE = `digest references inspection inspectedAt failure { code message } findings { code message } problems
  operatingSystem python ansibleCore ansibleRunner sizeBytes architecture user workingDirectory entrypoint command
  labels { name value } packageCounts { kind count } executionEnvironments { id name }`;

/** An image as the command line shows it. */
export interface ImageView {
  digest: string;
  references: string[];
  inspection: string;
  inspectedAt: string | null;
  failure: { code: string; message: string } | null;
  findings: { code: string; message: string }[];
  problems: string[];
  operatingSystem: string | null;
  python: string | null;
  ansibleCore: string | null;
  ansibleRunner: string | null;
  sizeBytes: number | null;
  architecture: string | null;
  user: string | null;
  labels: { name: string; value: string }[];
  packageCounts: { kind: string; count: number }[];
  executionEnvironments: { id: string; name: string }[];
}

interface PackageView {
  kind: string;
  name: string;
  version: string;
  detail: string;
}

const digestPattern = /^sha(256|512):[0-9a-f]+$/;

/** The digest that an execution environment (by name or id) has now, or the digest itself. Throws `not_found`. */
export const digestOf = async (endpoint: Endpoint, target: string): Promise<string> => {
  if (digestPattern.test(target)) return target;
  const { executionEnvironment: ee } = await request<{
    executionEnvironment: { name: string; digest: string | null } | null;
  }>(endpoint, 'query ($id: ID!) { executionEnvironment(id: $id) { name digest } }', {
    id: await findEe(endpoint, target),
  });
  if (ee && ee.digest !== null) return ee.digest;
  throw new PlatformError(
    'refused',
    `What the image of ${ee?.name ?? target} means is not known yet: have it fetched, or found where pods run (gantry ee pull), or ask its registry (gantry ee resolve).`,
  );
};

const read = async (endpoint: Endpoint, digest: string): Promise<ImageView> => {
  const { image } = await request<{ image: ImageView | null }>(
    endpoint,
    `query ($digest: String!) { image(digest: $digest) { ${IMAGE} } }`,
    { digest },
  );
  if (!image)
    throw new PlatformError(
      'not_found',
      `No execution environment that you may see has or had the image ${digest}.`,
    );
  return image;
};

/** Longer than the launcher gives an inspection. */
const PATIENCE_MILLISECONDS = 90_000;

const lookInto = async (endpoint: Endpoint, digest: string): Promise<ImageView> => {
  const { inspectImage: result } = await request<{
    inspectImage: { __typename: string; message?: string };
  }>(
    endpoint,
    'mutation ($digest: String!) { inspectImage(digest: $digest) { __typename ... on InspectImageRefused { message } } }',
    { digest },
  );
  if (result.__typename === 'InspectImageRefused')
    throw new PlatformError('refused', result.message ?? 'The image is not looked into.');
  for (const began = performance.now(); ;) {
    const image = await read(endpoint, digest);
    if (image.inspection !== 'REQUESTED') return image;
    if (performance.now() - began > PATIENCE_MILLISECONDS)
      throw new PlatformError('unavailable', 'Nobody has looked into the image yet: ask again later.');
    await pause(300);
  }
};

/** What an image shows of itself in a few lines. What it says may hold anything. */
export const sayImage = (image: ImageView): string => {
  const counts = image.packageCounts.map(({ kind, count }) => `${count} ${kind.toLowerCase()}`);
  const rows = [
    ['image', image.references.join(', ')],
    ['used by', image.executionEnvironments.map(({ name }) => name).join(', ')],
    ['system', [image.operatingSystem, image.architecture].filter(Boolean).join(', ')],
    ['size', image.sizeBytes === null ? '' : sayBytes(image.sizeBytes)],
    ['user', image.user === null ? '' : image.user || 'root'],
    ['Python', image.python ?? 'none'],
    ['ansible-core', image.ansibleCore ?? 'none'],
    ['ansible-runner', image.ansibleRunner ?? 'none'],
    ['packages', counts.join(', ')],
    ...image.labels.map(({ name, value }) => [`label ${name}`, value]),
  ];
  const known = image.inspectedAt === null ? rows.slice(0, 2) : rows;
  const remarks = [
    ...image.findings.map(({ message }) => paint.red(message)),
    ...image.problems.map((problem) => paint.yellow(`Not read: ${problem}`)),
  ];
  return [
    paint.bold(image.digest),
    ...known.map(([name, value]) => `  ${name!.padEnd(14)}  ${safeOutput(value!)}`),
    ...remarks.map((remark) => `\n${safeOutput(remark)}`),
  ].join('\n');
};

interface PageView<T> {
  nodes: T[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

const allPages = async <T>(readPage: (after: string | null) => Promise<PageView<T>>): Promise<T[]> => {
  const all: T[] = [];
  for (let after: string | null = null; ;) {
    const page: PageView<T> = await readPage(after);
    all.push(...page.nodes);
    if (!page.pageInfo.hasNextPage) return all;
    after = page.pageInfo.endCursor;
  }
};

const listPackages = (endpoint: Endpoint, digest: string): Promise<PackageView[]> =>
  allPages(async (after) => {
    const answer = await request<{ image: { packages: PageView<PackageView> } }>(
      endpoint,
      `query ($digest: String!, $after: String) { image(digest: $digest) { packages(first: 200, after: $after) {
         nodes { kind name version detail } pageInfo { hasNextPage endCursor } } } }`,
      { digest, after },
    );
    return answer.image.packages;
  });

const packageTable = (packages: PackageView[]): string =>
  table(
    ['kind', 'package', 'version', ''],
    packages.map(({ kind, name, version, detail }) =>
      [kind.toLowerCase(), name, version, detail].map((cell) => safeOutput(cell)),
    ),
  );

/** `gantry ee inspect <ee or digest>`: what is known; looked into when nobody has yet, or `--again`. Exit code 1 when that failed. */
export const eeInspectCommand = async (
  target: string,
  options: { again?: boolean; packages?: boolean; json?: boolean },
): Promise<number> => {
  const endpoint = findEndpoint();
  const digest = await digestOf(endpoint, target);
  let image = await read(endpoint, digest);
  if (options.again || image.inspection !== 'INSPECTED') image = await lookInto(endpoint, digest);
  const packages = options.packages ? await listPackages(endpoint, digest) : null;
  if (options.json) printJson(packages ? { ...image, packages } : image);
  else {
    print(sayImage(image));
    if (image.failure) print(`\n${paint.red(`Not looked into: ${safeOutput(image.failure.message)}`)}`);
    if (packages) print(`\n${packageTable(packages)}`);
  }
  return image.inspection === 'INSPECTED' ? exitCodes.ok : exitCodes.failed;
};

interface Difference {
  added: PackageView[];
  removed: PackageView[];
  changed: { kind: string; name: string; from: string; to: string }[];
  properties: { name: string; from: string | null; to: string | null }[];
  unchanged: number;
}

/** The lines of a difference: `+` only in the second, `-` only in the first, `~` in both and not the same. */
export const sayDifference = ({ added, removed, changed, properties, unchanged }: Difference): string[] => {
  const line = (sign: string, kind: string, name: string, what: string): string =>
    safeOutput(`${sign} ${kind.padEnd(10)}  ${name}  ${what}`);
  return [
    ...removed.map(({ kind, name, version }) => paint.red(line('-', kind.toLowerCase(), name, version))),
    ...added.map(({ kind, name, version }) => paint.green(line('+', kind.toLowerCase(), name, version))),
    ...changed.map(({ kind, name, from, to }) => line('~', kind.toLowerCase(), name, `${from} -> ${to}`)),
    ...properties.map(({ name, from, to }) =>
      line('~', 'image', name, `${from ?? 'none'} -> ${to ?? 'none'}`),
    ),
    paint.dim(`${unchanged} packages are the same.`),
  ];
};

/** `gantry ee diff <from> <to>`: exit code 0 whether they differ or not. */
export const eeDiffCommand = async (
  from: string,
  to: string,
  options: { json?: boolean },
): Promise<number> => {
  const endpoint = findEndpoint();
  const [before, after] = [await digestOf(endpoint, from), await digestOf(endpoint, to)];
  const { compareImages } = await request<{ compareImages: Difference }>(
    endpoint,
    `query ($from: String!, $to: String!) { compareImages(from: $from, to: $to) {
       added { kind name version detail } removed { kind name version detail } changed { kind name from to }
       properties { name from to } unchanged } }`,
    { from: before, to: after },
  );
  if (options.json) printJson(compareImages);
  else for (const line of sayDifference(compareImages)) print(line);
  return exitCodes.ok;
};

/** `gantry ee sbom <ee or digest>`: to standard output, or into a file. */
export const eeSbomCommand = async (target: string, options: { output?: string }): Promise<number> => {
  const endpoint = findEndpoint();
  const digest = await digestOf(endpoint, target);
  const address = `${endpoint.url.replace(/\/graphql$/, '')}/api/images/${digest}/sbom`;
  const response = await fetch(address, { headers: { authorization: `Bearer ${endpoint.token}` } }).catch(
    (cause: unknown) => {
      throw new PlatformError('unavailable', `${address} does not answer: is Gantry running?`, { cause });
    },
  );
  if (!response.ok) throw fromWire((await response.json()) as ErrorOnWire);
  const document = await response.text();
  if (options.output === undefined) process.stdout.write(`${document}\n`);
  else {
    try {
      writeFileSync(options.output, `${document}\n`);
    } catch (cause) {
      throw new PlatformError('invalid', `${options.output} cannot be written: ${(cause as Error).message}`, {
        cause,
      });
    }
    print(`${paint.bold(options.output)}  CycloneDX 1.6, ${sayBytes(document.length)}`);
  }
  return exitCodes.ok;
};

interface Holder {
  executionEnvironment: { id: string; name: string } | null;
  image: { digest: string } | null;
  package: PackageView;
}

/** `gantry ee find <package> [version]`: exit code 1 when nobody holds it. */
export const eeFindCommand = async (
  name: string,
  version: string | undefined,
  options: { kind?: string; json?: boolean },
): Promise<number> => {
  const endpoint = findEndpoint();
  const holders = await allPages(
    async (after) =>
      (
        await request<{ packageHolders: PageView<Holder> }>(
          endpoint,
          `query ($name: String!, $kind: PackageKind, $version: String, $after: String) {
             packageHolders(name: $name, kind: $kind, version: $version, first: 200, after: $after) {
               nodes { executionEnvironment { id name } image { digest } package { kind name version detail } }
               pageInfo { hasNextPage endCursor } } }`,
          { name, version, after, kind: options.kind?.toUpperCase() },
        )
      ).packageHolders,
  );
  const wanted = [name, version].filter(Boolean).join(' ');
  if (options.json) printJson(holders);
  else if (holders.length === 0) print(`No execution environment that was looked into holds ${wanted}.`);
  else {
    const rows = holders.map(({ executionEnvironment, image, package: found }) =>
      [
        executionEnvironment?.name ?? '',
        found.kind.toLowerCase(),
        found.version,
        image?.digest.slice(0, 19) ?? '',
      ].map((cell) => safeOutput(cell)),
    );
    print(table(['execution environment', 'kind', 'version', 'image'], rows));
  }
  return holders.length > 0 ? exitCodes.ok : exitCodes.failed;
};

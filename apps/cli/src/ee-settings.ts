/** What `gantry ee` does with execution environments themselves. */
import { randomUUID } from 'node:crypto';
import { PlatformError } from '@gantry/contracts/errors';
import { findEndpoint, request, type Endpoint } from './client.js';
import { findEe, findNamed } from './find.js';
import { exitCodes, paint, print, printJson, table } from './terminal.js';

interface Period {
  image: string;
  digest: string;
  since: string;
  until: string | null;
  source: string | null;
  platforms: string[] | null;
}
interface User {
  kind: string;
  name: string;
}
interface View {
  id: string;
  name: string;
  description: string;
  version: number;
  organization: { name: string } | null;
  image: string;
  pull: string | null;
  credential: { name: string } | null;
  managed: boolean;
  isDefault: boolean;
  digest: string | null;
  digestSince: string | null;
  tagMoved: { previousDigest: string; digest: string; since: string } | null;
  lookup: { at: string; failure: string | null; words: string | null } | null;
  users: { items: User[]; totalCount: number };
}
/** What a mutation answers in place of what was asked for. */
export interface Refusal {
  code?: string;
  message?: string;
}
/** Settings as given; `none` and `default` take away. */
export interface SettingsOptions {
  description?: string;
  organization?: string;
  pull?: string;
  credential?: string;
  json?: boolean;
}

const EE = `id name description version organization { id name } image pull credential { id name } managed isDefault digest digestSince
  tagMoved { previousDigest digest since } lookup { at failure words } createdAt`;
/** The selection of it. */
export const REFUSED = '... on ExecutionEnvironmentRefused { code reason message users { kind id name } }';
const short = (digest: string): string => digest.replace(/^(sha\d+):(.{12}).*$/, '$1:$2');
const time = (at: string): string => at.replace('T', ' ').slice(0, 19);

/** The settings as the API takes them; what is not given stays out. */
const inputOf = async (endpoint: Endpoint, options: SettingsOptions): Promise<Record<string, unknown>> => {
  const { description, organization, pull, credential } = options;
  const find = (field: 'organizations' | 'credentials', noun: string, named: string) =>
    named === 'none' ? null : findNamed(endpoint, field, noun, named);
  return {
    ...(description !== undefined && { description }),
    ...(organization !== undefined && {
      organizationId: await find('organizations', 'organization', organization),
    }),
    ...(pull !== undefined && { pull: pull === 'default' ? null : pull.toUpperCase() }),
    ...(credential !== undefined && { credentialId: await find('credentials', 'credential', credential) }),
  };
};

const show = async (endpoint: Endpoint, id: string): Promise<View> => {
  const { executionEnvironment } = await request<{ executionEnvironment: View | null }>(
    endpoint,
    `query ($id: ID!) { executionEnvironment(id: $id) { ${EE} users { totalCount items { kind id name } } } }`,
    { id },
  );
  if (executionEnvironment) return executionEnvironment;
  throw new PlatformError('not_found', `There is no execution environment ${id}, or you may not see it.`);
};

/** Throws a refusal as the error that it is. */
export const refuse = ({ code, message }: Refusal): void => {
  if (message !== undefined)
    throw new PlatformError(code === 'BAD_USER_INPUT' ? 'invalid' : 'refused', message);
};

/** `gantry ee list`. */
export const listCommand = async (options: { json?: boolean }): Promise<number> => {
  const { executionEnvironments } = await request<{
    executionEnvironments: { nodes: View[]; totalCount: number };
  }>(findEndpoint(), `{ executionEnvironments(first: 200) { totalCount nodes { ${EE} } } }`);
  const { nodes, totalCount } = executionEnvironments;
  if (options.json) return (printJson(nodes), exitCodes.ok);
  const rows = nodes.map((ee) => [
    ee.name,
    ee.image,
    ee.digest === null ? paint.dim('not resolved yet') : short(ee.digest),
    ee.organization?.name ?? 'global',
    [
      ...(ee.isDefault ? ['default'] : []),
      ...(ee.managed ? ['managed'] : []),
      ...(ee.tagMoved ? [paint.yellow('tag moved')] : []),
    ].join(', '),
  ]);
  print(table(['name', 'image', 'digest', 'organization', ''], rows));
  if (totalCount > nodes.length) print(paint.dim(`${nodes.length} of ${totalCount}.`));
  return exitCodes.ok;
};

/** `gantry ee show`. */
export const showCommand = async (named: string, options: { json?: boolean }): Promise<number> => {
  const endpoint = findEndpoint();
  const ee = await show(endpoint, await findEe(endpoint, named));
  if (options.json) return (printJson(ee), exitCodes.ok);
  const { tagMoved, lookup, users } = ee;
  const userNames = users.items.map(({ kind, name }) =>
    kind === 'SETTING' ? name : `${kind.toLowerCase().replace('_', ' ')} ${name}`,
  );
  const more = users.totalCount - userNames.length;
  const lines: [string, string][] = [
    ['Name', `${ee.name}${ee.isDefault ? ' (default)' : ''}${ee.managed ? ' (managed)' : ''}`],
    ['Id', `${ee.id}, version ${ee.version}`],
    ['About', ee.description],
    ['Of', ee.organization?.name ?? 'everybody'],
    ['Image', ee.image],
    ['Pull', ee.pull?.toLowerCase() ?? 'as Kubernetes does it'],
    ['Login', ee.credential?.name ?? ''],
    [
      'Digest',
      ee.digest === null
        ? 'not resolved yet'
        : `${ee.digest}${ee.digestSince ? ` since ${time(ee.digestSince)}` : ''}`,
    ],
    ['Moved', tagMoved ? paint.yellow(`since the last job, which had ${tagMoved.previousDigest}`) : ''],
    [
      'Asked',
      lookup
        ? `${time(lookup.at)}${lookup.failure ? paint.red(`: ${lookup.words ?? lookup.failure}`) : ''}`
        : '',
    ],
    ['Used by', [...userNames, ...(more > 0 ? [`${more} more`] : [])].join(', ')],
  ];
  for (const [name, value] of lines) if (value) print(`${paint.bold(name.padEnd(9))}${value}`);
  return exitCodes.ok;
};

/** `gantry ee create`. */
export const createCommand = async (
  name: string,
  image: string,
  options: SettingsOptions,
): Promise<number> => {
  const endpoint = findEndpoint();
  // The request may be sent again while Gantry starts anew: it is made once.
  const input = { name, image, idempotencyKey: randomUUID(), ...(await inputOf(endpoint, options)) };
  const { made } = await request<{ made: { id: string } }>(
    endpoint,
    `mutation ($input: CreateExecutionEnvironmentInput!) { made: createExecutionEnvironment(input: $input) { ${EE} } }`,
    { input },
  );
  if (options.json) printJson(made);
  else print(`${name} made: ${made.id}`);
  return exitCodes.ok;
};

/** `gantry ee change`. */
export const changeCommand = async (
  named: string,
  options: SettingsOptions & { name?: string; image?: string; expectedVersion?: number },
): Promise<number> => {
  const endpoint = findEndpoint();
  const { name, image, expectedVersion } = options;
  const input = {
    id: await findEe(endpoint, named),
    ...(name !== undefined && { name }),
    ...(image !== undefined && { image }),
    ...(expectedVersion !== undefined && { expectedVersion }),
    ...(await inputOf(endpoint, options)),
  };
  const { changed } = await request<{ changed: { executionEnvironment: View } & Refusal }>(
    endpoint,
    `mutation ($input: ChangeExecutionEnvironmentInput!) { changed: changeExecutionEnvironment(input: $input) {
      ... on ChangedExecutionEnvironment { executionEnvironment { ${EE} } } ${REFUSED} } }`,
    { input },
  );
  refuse(changed);
  const { executionEnvironment: ee } = changed;
  if (options.json) printJson(ee);
  else print(`${ee.name} is at version ${ee.version}: ${ee.image}`);
  return exitCodes.ok;
};

/** `gantry ee delete`. */
export const deleteCommand = async (named: string, options: { json?: boolean }): Promise<number> => {
  const endpoint = findEndpoint();
  const id = await findEe(endpoint, named);
  const { deleted } = await request<{ deleted: { id: string } & Refusal }>(
    endpoint,
    `mutation ($id: ID!) { deleted: deleteExecutionEnvironment(id: $id) { ... on DeletedExecutionEnvironment { id } ${REFUSED} } }`,
    { id },
  );
  refuse(deleted);
  if (options.json) printJson(deleted);
  else print(`${named} is deleted.`);
  return exitCodes.ok;
};

/** `gantry ee history`. */
export const historyCommand = async (named: string, options: { json?: boolean }): Promise<number> => {
  const endpoint = findEndpoint();
  const { executionEnvironment } = await request<{
    executionEnvironment: { history: { nodes: Period[]; totalCount: number } } | null;
  }>(
    endpoint,
    `query ($id: ID!) { executionEnvironment(id: $id) { history(first: 200) { totalCount
      nodes { image digest since until source platforms } } } }`,
    { id: await findEe(endpoint, named) },
  );
  const { nodes, totalCount } = executionEnvironment!.history;
  if (options.json) return (printJson(nodes), exitCodes.ok);
  if (nodes.length === 0)
    return (print('Its image was never resolved. Ask its registry: ./gantry ee resolve'), exitCodes.ok);
  const rows = nodes.map((period) => [
    time(period.since),
    period.until === null ? 'now' : time(period.until),
    period.image,
    period.digest,
    period.source?.toLowerCase() ?? '',
  ]);
  print(table(['from', 'to', 'image', 'meant', 'said by'], rows));
  if (totalCount > nodes.length) print(paint.dim(`${nodes.length} of ${totalCount}.`));
  return exitCodes.ok;
};

/** `gantry ee resolve`. */
export const resolveCommand = async (named: string, options: { json?: boolean }): Promise<number> => {
  const endpoint = findEndpoint();
  const { resolved } = await request<{
    resolved: { digest: string | null; platforms: string[] | null; executionEnvironment: View } & Refusal;
  }>(
    endpoint,
    `mutation ($id: ID!) { resolved: resolveExecutionEnvironment(id: $id) {
      ... on ResolvedExecutionEnvironment { digest platforms executionEnvironment { ${EE} } } ${REFUSED} } }`,
    { id: await findEe(endpoint, named) },
  );
  refuse(resolved);
  if (options.json) return (printJson(resolved), exitCodes.ok);
  const { digest, platforms, executionEnvironment: ee } = resolved;
  if (digest === null)
    return (print(`${ee.image} is local to the engine that has it: a job will tell.`), exitCodes.ok);
  print(`${ee.image} is ${digest}${platforms?.length ? `, made for ${platforms.join(', ')}` : ''}`);
  if (ee.tagMoved)
    print(paint.yellow(`The tag has moved since the last job, which had ${ee.tagMoved.previousDigest}`));
  return exitCodes.ok;
};

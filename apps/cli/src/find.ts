/** Finding what people name by name or id. */
import { PlatformError } from '@gantry/contracts/errors';
import { request, type Endpoint } from './client.js';

const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
/** The id of an execution environment by its name or id. Throws `not_found`. */
export const findEe = async (endpoint: Endpoint, named: string): Promise<string> => {
  if (isId(named)) return named;
  const { executionEnvironments } = await request<{ executionEnvironments: { nodes: { id: string }[] } }>(
    endpoint,
    'query ($name: String) { executionEnvironments(name: $name, first: 1) { nodes { id } } }',
    { name: named },
  );
  const [found] = executionEnvironments.nodes;
  if (found) return found.id;
  throw new PlatformError(
    'not_found',
    `There is no execution environment ${named}, or you may not see it: ./gantry ee list lists those you may.`,
  );
};

/** The id of something that has a name, among all that the token may see. Throws `not_found`; `invalid` for a name that two have. */
export const findNamed = async (
  endpoint: Endpoint,
  field: 'organizations' | 'credentials',
  noun: string,
  named: string,
): Promise<string> => {
  if (isId(named)) return named;
  const found: string[] = [];
  for (let after: string | null = null; ;) {
    const answer: Record<
      string,
      { nodes: { id: string; name: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } }
    > = await request(
      endpoint,
      `query ($after: String) { ${field}(first: 200, after: $after) { nodes { id name } pageInfo { hasNextPage endCursor } } }`,
      { after },
    );
    const { nodes, pageInfo } = answer[field]!;
    found.push(...nodes.filter(({ name }) => name === named).map(({ id }) => id));
    if (!pageInfo.hasNextPage) break;
    after = pageInfo.endCursor;
  }
  if (found.length > 1)
    throw new PlatformError('invalid', `${found.length} ${noun}s are called ${named}: name it by its id.`);
  if (found[0]) return found[0];
  throw new PlatformError('not_found', `There is no ${noun} ${named}, or you may not see it.`);
};

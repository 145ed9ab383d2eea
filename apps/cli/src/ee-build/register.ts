/** Making a pushed image an execution environment of Gantry, through the same API that everybody has. */
import { randomUUID } from 'node:crypto';
import { PlatformError } from '@gantry/contracts/errors';
import { findEndpoint, request } from '../client.js';
import { findNamed } from '../find.js';

/** What a registration did. */
export interface Registration {
  id: string;
  name: string;
  /** By its digest. */
  image: string;
  done: 'registered' | 'changed' | 'unchanged';
}

interface Known {
  id: string;
  version: number;
  image: string;
  organization: { id: string; name: string } | null;
  credential: { id: string } | null;
}
type Changed = { executionEnvironment: { id: string } } | { code: string; message: string };

/**
 * Checks that an execution environment of this name can be made or changed, before anything is built; the function it gives does so,
 * for an image by its digest. Throws `not_found` for an organization or credential that is not there, `refused` for a name that
 * belongs to another organization, and what the API refuses with.
 */
export const prepareRegistration = async (
  name: string,
  { organization, credential }: { organization?: string; credential?: string },
): Promise<(image: string) => Promise<Registration>> => {
  const endpoint = findEndpoint();
  const organizationId = organization
    ? await findNamed(endpoint, 'organizations', 'organization', organization)
    : null;
  const credentialId = credential
    ? await findNamed(endpoint, 'credentials', 'credential', credential)
    : undefined;
  const { executionEnvironments } = await request<{ executionEnvironments: { nodes: Known[] } }>(
    endpoint,
    `query ($name: String) { executionEnvironments(name: $name, first: 1) {
      nodes { id version image organization { id name } credential { id } } } }`,
    { name },
  );
  const [known] = executionEnvironments.nodes;
  if (known && organization !== undefined && (known.organization?.id ?? null) !== organizationId)
    throw new PlatformError(
      'refused',
      `There is an execution environment ${name} already, ${known.organization ? `of ${known.organization.name}` : 'a global one'}: choose another name.`,
    );
  return async (image) => {
    if (!known) {
      const input = {
        name,
        organizationId,
        image,
        credentialId,
        idempotencyKey: randomUUID(),
      };
      const { made } = await request<{ made: { id: string } }>(
        endpoint,
        `mutation ($input: CreateExecutionEnvironmentInput!) { made: createExecutionEnvironment(input: $input) { id } }`,
        { input },
      );
      return { id: made.id, name, image, done: 'registered' };
    }
    const sameLogin = credentialId === undefined || credentialId === known.credential?.id;
    if (known.image === image && sameLogin) return { id: known.id, name, image, done: 'unchanged' };
    const { changed } = await request<{ changed: Changed }>(
      endpoint,
      `mutation ($input: ChangeExecutionEnvironmentInput!) { changed: changeExecutionEnvironment(input: $input) {
        ... on ChangedExecutionEnvironment { executionEnvironment { id } } ... on ExecutionEnvironmentRefused { code message } } }`,
      // Who changed it while this was built must not be overrun.
      {
        input: {
          id: known.id,
          expectedVersion: known.version,
          image,
          ...(sameLogin ? {} : { credentialId }),
        },
      },
    );
    if ('message' in changed)
      throw new PlatformError(changed.code === 'BAD_USER_INPUT' ? 'invalid' : 'refused', changed.message);
    return { id: known.id, name, image, done: 'changed' };
  };
};

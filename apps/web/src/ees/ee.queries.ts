/** What the pages of execution environments ask. */
import { document, type Connection } from '../api/document.js';

interface Page {
  first: number;
  after?: string | null;
}

/** An image that jobs run in. */
export interface ExecutionEnvironment {
  id: string;
  name: string;
  description: string;
  version: number;
  organization: { id: string; name: string } | null;
  image: string;
  pull: string | null;
  managed: boolean;
  isDefault: boolean;
  digest: string | null;
  digestSince: string | null;
  tagMoved: { previousDigest: string; digest: string; since: string } | null;
  lookup: { at: string; failure: string | null; words: string | null } | null;
  createdAt: string;
}

/** Who uses one. */
export interface User {
  kind: string;
  id: string | null;
  name: string;
}

/** What an image meant, and for how long. */
export interface DigestPeriod {
  image: string;
  digest: string;
  since: string;
  until: string | null;
  source: string | null;
  platforms: string[] | null;
}

const fields = `id name description version organization { id name } image pull managed isDefault digest digestSince
    tagMoved { previousDigest digest since } lookup { at failure words } createdAt`;
const rest = 'pageInfo { hasNextPage endCursor } totalCount';

export const eesQuery = document<{ executionEnvironments: Connection<ExecutionEnvironment> }, Page>(
  `query ExecutionEnvironments($first: Int!, $after: String) {
  executionEnvironments(first: $first, after: $after) { nodes { ${fields} } ${rest} }
}`,
);

/** One, as its page shows it. */
export type ShownEnvironment = ExecutionEnvironment & {
  credential: { id: string; name: string } | null;
  users: { items: User[]; totalCount: number };
  history: Connection<DigestPeriod>;
};

export const eeQuery = document<{ executionEnvironment: ShownEnvironment | null }, Page & { id: string }>(
  `query ExecutionEnvironment($id: ID!, $first: Int!, $after: String) {
  executionEnvironment(id: $id) {
    ${fields} credential { id name } users { totalCount items { kind id name } }
    history(first: $first, after: $after) { nodes { image digest since until source platforms } ${rest} }
  }
}`,
);

export const resolveMutation = document<
  { resolveExecutionEnvironment: { digest?: string | null; code?: string; message?: string } },
  { id: string }
>(`mutation ResolveExecutionEnvironment($id: ID!) {
  resolveExecutionEnvironment(id: $id) {
    ... on ResolvedExecutionEnvironment { digest }
    ... on ExecutionEnvironmentRefused { code message }
  }
}`);

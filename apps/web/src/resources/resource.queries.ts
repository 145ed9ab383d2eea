/** What the pages of projects, inventories and credentials ask. */
import { document, type Connection } from '../api/document.js';

interface Page {
  first: number;
  after?: string | null;
}
interface Owned {
  id: string;
  name: string;
  description: string;
  organization: { id: string; name: string } | null;
  createdAt: string;
}
const owned = 'id name description organization { id name } createdAt';
const rest = 'pageInfo { hasNextPage endCursor } totalCount';

/** The signed-in user. */
export interface Me {
  id: string;
  username: string;
  email: string | null;
  superuser: boolean;
  auditor: boolean;
}

export const meQuery = document<{ me: Me }>('query Me { me { id username email superuser auditor } }');

/** Playbooks in git. */
export interface Project extends Owned {
  scmUrl: string;
  scmBranch: string;
  scmUpdateOnLaunch: boolean;
  status: string;
  commit: string | null;
  playbooks: string[];
  lastError: string | null;
  syncedAt: string | null;
}
const project = `${owned} scmUrl scmBranch scmUpdateOnLaunch status commit playbooks lastError syncedAt`;

export const projectsQuery = document<{ projects: Connection<Project> }, Page>(
  `query Projects($first: Int!, $after: String) { projects(first: $first, after: $after) { nodes { ${project} } ${rest} } }`,
);

export const syncProjectMutation = document<{ syncProject: Project }, { id: string }>(
  `mutation SyncProject($id: ID!) { syncProject(id: $id) { ${project} } }`,
);

/** Hosts and groups. */
export interface Inventory extends Owned {
  totalHosts: number;
  totalGroups: number;
}

export const inventoriesQuery = document<{ inventories: Connection<Inventory> }, Page>(
  `query Inventories($first: Int!, $after: String) {
  inventories(first: $first, after: $after) { nodes { ${owned} totalHosts totalGroups } ${rest} }
}`,
);

/** A managed host. */
export interface Host {
  name: string;
  variables: unknown;
  enabled: boolean;
}

export const inventoryQuery = document<
  { inventory: (Inventory & { variables: unknown; hosts: Connection<Host> }) | null },
  Page & { id: string }
>(`query Inventory($id: ID!, $first: Int!, $after: String) {
  inventory(id: $id) {
    ${owned} totalHosts totalGroups variables
    hosts(first: $first, after: $after) { nodes { name variables enabled } ${rest} }
  }
}`);

/** A secret's name and type; never the secret. */
export interface Credential extends Owned {
  credentialType: string;
  version: number;
  inputs: Record<string, unknown>;
}

export const credentialsQuery = document<
  { credentials: Connection<Credential>; credentialTypes: { id: string; name: string; kind: string }[] },
  Page
>(`query Credentials($first: Int!, $after: String) {
  credentials(first: $first, after: $after) { nodes { ${owned} credentialType version inputs } ${rest} }
  credentialTypes { id name kind }
}`);

/** What every resolver gets: calls in the caller's name, objects by id (batched per request), and the live feeds. */
import { randomUUID } from 'node:crypto';
import type { CommandSpec, InputOf, OutputOf, PageOf } from '@gantry/contracts/command';
import { ListCredentials, type Credential } from '@gantry/contracts/credential';
import { ListExecutionEnvironments, type ExecutionEnvironment } from '@gantry/contracts/ee';
import { DescribeImages, type Image } from '@gantry/contracts/image';
import { ListOrganizations, ListUsers, type Organization, type User } from '@gantry/contracts/identity';
import {
  ListInventories,
  ListJobTemplates,
  ListProjects,
  type Inventory,
  type JobTemplate,
  type Project,
} from '@gantry/contracts/template';
import { DescribeRecords, type RecordRetention } from '@gantry/contracts/retention';
import type { ServiceKit } from '@gantry/service/kit';
import DataLoader from 'dataloader';
import type { JobTails } from './job-tails.js';
import type { LiveFeed } from './live-feed.js';
import type { Session, Sessions } from './session.js';
import type { WatchRights } from './watch-rights.js';

/** Calls a command in the name of whoever is behind the request. */
export type Call = <C extends CommandSpec>(command: C, input: InputOf<C>) => Promise<OutputOf<C>>;

/** Objects by id; null for what is not there or may not be seen. */
export interface Loaders {
  organization: DataLoader<string, Organization | null>;
  user: DataLoader<string, User | null>;
  project: DataLoader<string, Project | null>;
  inventory: DataLoader<string, Inventory | null>;
  jobTemplate: DataLoader<string, JobTemplate | null>;
  executionEnvironment: DataLoader<string, ExecutionEnvironment | null>;
  credential: DataLoader<string, Credential | null>;
  /** By digest. */
  image: DataLoader<string, Image | null>;
  /** By the job's id; null while no pod was prepared for it. */
  retention: DataLoader<string, RecordRetention | null>;
}

/** The context of one operation. */
export interface GraphqlContext {
  /** Asks again whether the token is still good; throws `unauthenticated`. */
  session(): Promise<Session>;
  call: Call;
  load: Loaders;
  live: LiveFeed;
  tails: JobTails;
  rights: WatchRights;
}

/** What contexts are made from: one of each in a process. */
export interface ContextDependencies {
  kit: Pick<ServiceKit, 'call'>;
  sessions: Sessions;
  live: LiveFeed;
  tails: JobTails;
  rights: WatchRights;
}

/** Builds the context of one operation. Throws `unauthenticated` at once for a bad token. */
export const createContext = async (
  deps: ContextDependencies,
  token: string | null,
): Promise<GraphqlContext> => {
  const session = deps.sessions.by(token);
  await session();
  const correlationId = randomUUID();
  const call: Call = async (command, input) =>
    deps.kit.call(command, input, { correlationId, assertion: (await session()).assertion });
  return {
    session,
    call,
    load: createLoaders(call),
    live: deps.live,
    tails: deps.tails,
    rights: deps.rights,
  };
};

const createLoaders = (call: Call): Loaders => ({
  organization: byId((ids) => call(ListOrganizations, { ids, first: ids.length })),
  user: byId((ids) => call(ListUsers, { ids, first: ids.length })),
  project: byId((ids) => call(ListProjects, { ids, first: ids.length })),
  inventory: byId((ids) => call(ListInventories, { ids, first: ids.length })),
  jobTemplate: byId((ids) => call(ListJobTemplates, { ids, first: ids.length })),
  executionEnvironment: byId((ids) => call(ListExecutionEnvironments, { ids, first: ids.length })),
  credential: byId((ids) => call(ListCredentials, { ids, first: ids.length })),
  image: new DataLoader(
    async (digests) => {
      const { items } = await call(DescribeImages, { digests: [...digests] });
      const found = new Map(items.map((item) => [item.digest, item]));
      return digests.map((digest) => found.get(digest) ?? null);
    },
    { maxBatchSize: 200 },
  ),
  retention: new DataLoader(
    async (jobIds) => {
      const { items } = await call(DescribeRecords, { jobIds: [...jobIds] });
      const found = new Map(items.map((item) => [item.jobId, item]));
      return jobIds.map((id) => found.get(id) ?? null);
    },
    { maxBatchSize: 200 },
  ),
});

const byId = <T extends { id: string }>(list: (ids: string[]) => Promise<PageOf<T>>) =>
  new DataLoader<string, T | null>(
    async (ids) => {
      const page = await list([...ids]);
      const found = new Map(page.items.map(({ node }) => [node.id, node]));
      return ids.map((id) => found.get(id) ?? null);
    },
    { maxBatchSize: 200 },
  );

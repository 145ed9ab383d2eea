/** Who uses an execution environment: asked of those who know. */
import type { Principal } from '@gantry/contracts/access';
import type { ReceivedBy } from '@gantry/contracts/command';
import type {
  ExecutionEnvironment,
  ExecutionEnvironmentUsers,
  ListExecutionEnvironmentUsers,
} from '@gantry/contracts/ee';
import { PlatformError } from '@gantry/contracts/errors';
import { ListOrganizationsUsingEnvironment } from '@gantry/contracts/identity';
import { ListTemplatesUsingEnvironment } from '@gantry/contracts/template';
import type { CallContext } from '@gantry/service/context';
import { visible, type Registry } from './registry.js';

/** For who may see the execution environment. */
export const listUsers = async (
  registry: Registry,
  { id }: ReceivedBy<typeof ListExecutionEnvironmentUsers>,
  context: CallContext,
): Promise<ExecutionEnvironmentUsers> =>
  usersOf(registry, await visible(registry, id, context.principal as Principal), context);

/** Job templates, projects, organizations, and the installation itself. Throws `unavailable` when somebody cannot say. */
export const usersOf = async (
  { call }: Registry,
  { id, isDefault }: Pick<ExecutionEnvironment, 'id' | 'isDefault'>,
  context: CallContext,
): Promise<ExecutionEnvironmentUsers> => {
  const question = { executionEnvironmentId: id };
  const answers = await Promise.all([
    call(ListTemplatesUsingEnvironment, question, context),
    call(ListOrganizationsUsingEnvironment, question, context),
  ]);
  const setting = { kind: 'setting', id: null, name: 'the default of this installation' } as const;
  return {
    items: [...answers.flatMap(({ items }) => items), ...(isDefault ? [setting] : [])],
    totalCount: answers.reduce((sum, { totalCount }) => sum + totalCount, isDefault ? 1 : 0),
  };
};

const kinds = { job_template: 'job template', project: 'project', organization: 'organization', setting: '' };

/** Throws `refused` with reason in_use when somebody uses it. `what`: "cannot be deleted". */
export const refuseWhileUsed = (
  { name }: Pick<ExecutionEnvironment, 'name'>,
  { items, totalCount }: ExecutionEnvironmentUsers,
  what: string,
): void => {
  if (totalCount === 0) return;
  const named = items.slice(0, 5).map(({ kind, name: user }) => `${kinds[kind]} ${user}`.trim());
  const more = totalCount - named.length;
  const others = more > 0 ? [`${more} ${named.length > 0 ? 'more' : 'that you may not see'}`] : [];
  throw new PlatformError(
    'refused',
    `${name} ${what} while it is used, by ${[...named, ...others].join(', ')}: give them another execution environment first.`,
    { details: { reason: 'in_use', users: items, totalUsers: totalCount } },
  );
};

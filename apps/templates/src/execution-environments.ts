/** Execution environments as templates names them: may somebody, who does, and whose is a job's. */
import { can, readable, type Principal } from '@gantry/contracts/access';
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import { ListExecutionEnvironments, type EeCandidate } from '@gantry/contracts/ee';
import { PlatformError } from '@gantry/contracts/errors';
import { GetDefaultEnvironments } from '@gantry/contracts/identity';
import type { LaunchSnapshot, ListTemplatesUsingEnvironment } from '@gantry/contracts/template';
import type { Sql } from '@gantry/eventlog/sql';
import type { CallContext } from '@gantry/service/context';
import type { TemplatesDeps } from './deps.js';

/** Who wants to name which execution environment. */
export interface Naming {
  id: string;
  /** Of the project or job template. */
  organizationId: string;
  field: 'defaultEnvironmentId' | 'executionEnvironmentId';
}

/**
 * May it be named there? Global ones and the organization's own may; a job template may also name another organization's which the
 * person may use: who launches it must, too. Throws `not_found` for one that the person may not see; `refused` for others.
 */
export const mayName = async (
  { call }: Pick<TemplatesDeps, 'call'>,
  { id, organizationId, field }: Naming,
  context: CallContext,
): Promise<void> => {
  const { items } = await call(ListExecutionEnvironments, { ids: [id], first: 1 }, context);
  const environment = items[0]?.node;
  if (!environment) {
    throw new PlatformError(
      'not_found',
      `There is no execution environment ${id}, or it is not yours to see.`,
      { details: { id, field } },
    );
  }
  const owner = environment.organizationId ?? null;
  if (owner === null || owner === organizationId) return;
  if (field === 'executionEnvironmentId' && can(context.principal!, 'use', owner)) return;
  throw new PlatformError(
    'refused',
    `The execution environment ${environment.name} belongs to another organization: choose a global one, or one of this organization.`,
    { details: { reason: 'other_organization', field } },
  );
};

/** How many users are named at most. */
const mostNamed = 20;

/** Job templates and projects that name it; of those that the person may not see only the number. */
export const templatesUsing = async (
  sql: Sql,
  schema: string,
  { executionEnvironmentId }: ReceivedBy<typeof ListTemplatesUsingEnvironment>,
  principal: Principal,
): Promise<OutputOf<typeof ListTemplatesUsingEnvironment>> => {
  const organizations = readable(principal);
  const { rows } = await sql.query<{
    kind: 'job_template' | 'project';
    id: string;
    name: string;
    seen: boolean;
    total: string;
  }>(
    `select kind, id::text as id, name, seen, sum(count(*)) over () as total from (
       select 'job_template' as kind, id, name, organization_id from ${schema}.job_template where settings->>'executionEnvironmentId' = $1::text
       union all
       select 'project', id, name, organization_id from ${schema}.project where default_environment_id = $1::uuid
     ) as users, lateral (select $2::uuid[] is null or organization_id = any($2::uuid[]) as seen) as theirs
     group by kind, id, name, seen order by seen desc, kind, name limit $3`,
    [executionEnvironmentId.toLowerCase(), organizations === 'all' ? null : organizations, mostNamed],
  );
  return {
    items: rows.filter(({ seen }) => seen).map(({ kind, id, name }) => ({ kind, id, name })),
    totalCount: Number(rows[0]?.total ?? 0),
  };
};

/**
 * Whom a job's execution environment comes from, in AWX's order: the first that names one. Empty: the installation's own default.
 * Identity is asked only when neither launch, template nor project name one.
 */
export const environmentsOf = async (
  { call }: Pick<TemplatesDeps, 'call'>,
  job: Pick<LaunchSnapshot, 'executionEnvironmentId' | 'organizationId'> & {
    prompted: boolean;
    project: { defaultEnvironmentId: string | null; organizationId: string };
    inventory: { organizationId: string };
  },
  context: CallContext,
): Promise<EeCandidate[]> => {
  const { executionEnvironmentId, organizationId, prompted, project, inventory } = job;
  if (executionEnvironmentId) return [{ from: prompted ? 'launch' : 'job_template', executionEnvironmentId }];
  if (project.defaultEnvironmentId) {
    return [
      {
        from: 'project',
        executionEnvironmentId: project.defaultEnvironmentId,
        organizationId: project.organizationId,
      },
    ];
  }
  const organizationIds = [...new Set([organizationId, inventory.organizationId])];
  const { items } = await call(GetDefaultEnvironments, { organizationIds }, context);
  const defaults = new Map(items.map((item) => [item.organizationId, item.executionEnvironmentId]));
  const own = defaults.get(organizationId);
  if (own) return [{ from: 'organization', executionEnvironmentId: own, organizationId }];
  const theirs = defaults.get(inventory.organizationId);
  return theirs
    ? [
        {
          from: 'inventory_organization',
          executionEnvironmentId: theirs,
          organizationId: inventory.organizationId,
        },
      ]
    : [];
};

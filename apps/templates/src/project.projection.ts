/** Read model of projects. */
import { readable, type Principal } from '@gantry/contracts/access';
import type { PageOf, ReceivedBy } from '@gantry/contracts/command';
import { parseEvent } from '@gantry/contracts/envelope';
import { templateEvents, type ListProjects, type Project } from '@gantry/contracts/template';
import type { Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { byCreation, readPage } from '@gantry/service/page';

const { ProjectCreated, ProjectSynced, ProjectSyncFailed, ProjectDefaultEnvironmentSet } = templateEvents;
const catalogue = { ProjectCreated, ProjectSynced, ProjectSyncFailed, ProjectDefaultEnvironmentSet };

/** Table `project`. */
export const projectProjection = (schema: string): ProjectionDefinition => ({
  name: 'projects',
  tables: ['project'],
  types: Object.values(catalogue).map(({ type }) => type),
  apply: async (stored, sql) => {
    const event = parseEvent(catalogue, stored);
    if (!event) return;
    const { type, data } = event;
    if (type === 'project.created') {
      await sql.query(
        `insert into ${schema}.project (id, organization_id, name, description, scm_url, scm_branch, scm_update_on_launch, default_environment_id, status, playbooks, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'never_updated', '[]', $9)`,
        [
          data.projectId,
          data.organizationId,
          data.name,
          data.description,
          data.scmUrl,
          data.scmBranch,
          data.scmUpdateOnLaunch,
          data.defaultEnvironmentId ?? null,
          stored.at,
        ],
      );
    } else if (type === 'project.synced') {
      await sql.query(
        `update ${schema}.project set status = 'successful', synced_branch = $2, commit = $3, archive_sha256 = $4, archive_size_bytes = $5,
           playbooks = $6, last_error = null, synced_at = $7 where id = $1`,
        [
          data.projectId,
          data.branch,
          data.commit,
          data.archive.sha256,
          data.archive.sizeBytes,
          JSON.stringify(data.playbooks),
          stored.at,
        ],
      );
    } else if (type === 'project.default_environment_set') {
      await sql.query(`update ${schema}.project set default_environment_id = $2 where id = $1`, [
        data.projectId,
        data.executionEnvironmentId,
      ]);
    } else {
      await sql.query(`update ${schema}.project set status = 'failed', last_error = $2 where id = $1`, [
        data.projectId,
        data.message,
      ]);
    }
  },
});

/** Those of organizations that the principal may read. */
export const listProjects = (
  sql: Sql,
  schema: string,
  input: ReceivedBy<typeof ListProjects>,
  principal: Principal,
): Promise<PageOf<Project>> => {
  const { where, params } = visible(input.ids, principal);
  return readPage(sql, {
    from: `${schema}.project`,
    where,
    params,
    keys: byCreation,
    request: input,
    node: (row): Project => ({
      id: row.id,
      name: row.name,
      description: row.description,
      organizationId: row.organization_id,
      scmType: 'git',
      scmUrl: row.scm_url,
      scmBranch: row.scm_branch,
      credentialId: null,
      scmUpdateOnLaunch: row.scm_update_on_launch,
      defaultEnvironmentId: row.default_environment_id,
      status: row.status,
      commit: row.commit,
      playbooks: row.playbooks,
      lastError: row.last_error,
      syncedAt: row.synced_at?.toISOString() ?? null,
      createdAt: row.created_at.toISOString(),
    }),
  });
};

/** Conditions of a list: ids asked for, organizations that may be read. */
export const visible = (
  ids: string[] | null | undefined,
  principal: Principal,
): { where: string[]; params: unknown[] } => {
  const [where, params]: [string[], unknown[]] = [[], []];
  const organizations = readable(principal);
  if (organizations !== 'all') where.push(`organization_id = any($${params.push(organizations)}::uuid[])`);
  if (ids) where.push(`id = any($${params.push(ids)}::uuid[])`);
  return { where, params };
};

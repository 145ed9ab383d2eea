/** Read model of job templates. */
import type { Principal } from '@gantry/contracts/access';
import type { PageOf, ReceivedBy } from '@gantry/contracts/command';
import { parseEvent } from '@gantry/contracts/envelope';
import { templateEvents, type JobTemplate, type ListJobTemplates } from '@gantry/contracts/template';
import type { Sql } from '@gantry/eventlog/sql';
import type { ProjectionDefinition } from '@gantry/service/kit';
import { byCreation, readPage } from '@gantry/service/page';
import { visible } from './project.projection.js';

const { JobTemplateCreated, JobTemplateRevised } = templateEvents;
const catalogue = { JobTemplateCreated, JobTemplateRevised };

/** Table `job_template`. */
export const jobTemplateProjection = (schema: string): ProjectionDefinition => ({
  name: 'job_templates',
  tables: ['job_template'],
  types: Object.values(catalogue).map(({ type }) => type),
  apply: async (stored, sql) => {
    const event = parseEvent(catalogue, stored);
    if (!event) return;
    const { jobTemplateId, ...settings } = event.data;
    await sql.query(
      `insert into ${schema}.job_template (id, organization_id, name, version, settings, created_at) values ($1, $2, $3, $4, $5, $6)
       on conflict (id) do update set organization_id = excluded.organization_id, name = excluded.name, version = excluded.version, settings = excluded.settings`,
      [
        jobTemplateId,
        settings.organizationId,
        settings.name,
        stored.streamVersion,
        JSON.stringify(settings),
        stored.at,
      ],
    );
  },
});

/** Those of organizations that the principal may read. */
export const listJobTemplates = (
  sql: Sql,
  schema: string,
  input: ReceivedBy<typeof ListJobTemplates>,
  principal: Principal,
): Promise<PageOf<JobTemplate>> => {
  const { where, params } = visible(input.ids, principal);
  if (input.name) where.push(`name = $${params.push(input.name)}`);
  return readPage(sql, {
    from: `${schema}.job_template`,
    where,
    params,
    keys: byCreation,
    request: input,
    node: (row): JobTemplate => ({
      ...row.settings,
      id: row.id,
      version: row.version,
      createdAt: row.created_at.toISOString(),
    }),
  });
};

/** Read models as TypeORM entities, for looking things up; how rows come about stands in the *.projection.ts files. */
import type { JobTemplateSettings } from '@gantry/contracts/template';
import type { ServiceKit } from '@gantry/service/kit';
import { EntitySchema, type DataSource, type FindOptionsWhere } from 'typeorm';

/** A row of `project`. */
export interface ProjectRow {
  id: string;
  organizationId: string;
  name: string;
  scmUrl: string;
  scmBranch: string;
  scmUpdateOnLaunch: boolean;
  defaultEnvironmentId: string | null;
  status: 'never_updated' | 'successful' | 'failed';
  syncedBranch: string | null;
  commit: string | null;
  archiveSha256: string | null;
  archiveSizeBytes: string | null;
}
/** A row of `inventory`. */
export interface InventoryRow {
  id: string;
  organizationId: string;
  name: string;
  variables: Record<string, unknown>;
  version: number;
}
/** A row of `job_template`. */
export interface JobTemplateRow {
  id: string;
  organizationId: string;
  name: string;
  version: number;
  settings: JobTemplateSettings;
}

const id = { type: 'uuid', primary: true } as const;
const organizationId = { type: 'uuid', name: 'organization_id' } as const;
const text = { type: 'text' } as const;

const ProjectEntity = new EntitySchema<ProjectRow>({
  name: 'project',
  columns: {
    id,
    organizationId,
    name: text,
    status: text,
    commit: { ...text, nullable: true },
    scmUrl: { ...text, name: 'scm_url' },
    scmBranch: { ...text, name: 'scm_branch' },
    scmUpdateOnLaunch: { type: 'boolean', name: 'scm_update_on_launch' },
    defaultEnvironmentId: { type: 'uuid', name: 'default_environment_id', nullable: true },
    syncedBranch: { ...text, name: 'synced_branch', nullable: true },
    archiveSha256: { ...text, name: 'archive_sha256', nullable: true },
    archiveSizeBytes: { type: 'bigint', name: 'archive_size_bytes', nullable: true },
  },
});
const InventoryEntity = new EntitySchema<InventoryRow>({
  name: 'inventory',
  columns: { id, organizationId, name: text, variables: { type: 'jsonb' }, version: { type: 'integer' } },
});
const JobTemplateEntity = new EntitySchema<JobTemplateRow>({
  name: 'job_template',
  columns: { id, organizationId, name: text, version: { type: 'integer' }, settings: { type: 'jsonb' } },
});

/** Looks things up. Whether the asking person may see them is the caller's to check. */
export interface Reader {
  project(projectId: string): Promise<ProjectRow | null>;
  inventory(inventoryId: string): Promise<InventoryRow | null>;
  jobTemplate(jobTemplateId: string): Promise<JobTemplateRow | null>;
  jobTemplatesNamed(name: string): Promise<JobTemplateRow[]>;
}

/** A reader; connects when it is first asked. */
export const createReader = (kit: Pick<ServiceKit, 'dataSource'>): Reader => {
  let opened: Promise<DataSource> | null = null;
  const source = (): Promise<DataSource> =>
    (opened ??= kit
      .dataSource([ProjectEntity, InventoryEntity, JobTemplateEntity])
      .catch((error: unknown) => {
        opened = null;
        throw error;
      }));
  const one = async <T extends { id: string }>(entity: EntitySchema<T>, rowId: string): Promise<T | null> =>
    (await source()).getRepository(entity).findOneBy({ id: rowId } as FindOptionsWhere<T>);
  return {
    project: (projectId) => one(ProjectEntity, projectId),
    inventory: (inventoryId) => one(InventoryEntity, inventoryId),
    jobTemplate: (jobTemplateId) => one(JobTemplateEntity, jobTemplateId),
    jobTemplatesNamed: async (name) => (await source()).getRepository(JobTemplateEntity).findBy({ name }),
  };
};

/** What the storage page asks. */
import { document } from '../api/document.js';

/** Output that lies and goes together. */
export interface StoragePartition {
  partition: string;
  bytes: number;
  jobs: number;
  openJobs: number;
  action: string;
  reason: string;
  due: string | null;
}

/** How long the output of some jobs is kept. */
export interface RetentionRule {
  organizationId: string;
  organization: { name: string } | null;
  jobTemplateId: string | null;
  jobTemplate: { name: string } | null;
  keepDays: number;
  setBy: string;
}

/** What the output of all jobs takes, and what becomes of it. */
export interface Storage {
  totalBytes: number;
  storedBytes: number;
  oldestDay: string | null;
  nextDrop: string | null;
  archive: string | null;
  partitions: StoragePartition[];
}

export const storageQuery = document<{
  storage: Storage;
  retentionRules: { defaultKeepDays: number; rules: RetentionRule[] };
}>(`query Storage {
  storage { totalBytes storedBytes oldestDay nextDrop archive partitions { partition bytes jobs openJobs action reason due } }
  retentionRules { defaultKeepDays rules { organizationId organization { name } jobTemplateId jobTemplate { name } keepDays setBy } }
}`);

/** `gantry retention`: rules, sizes, and what would go when. It changes nothing. */
import { findEndpoint, request } from './client.js';
import { exitCodes, paint, print, printJson, table } from './terminal.js';

const QUERY = `{
  retentionRules { defaultKeepDays rules { organizationId organization { name } jobTemplateId jobTemplate { name } keepDays setAt setBy } }
  storage { totalBytes storedBytes oldestDay nextDrop archive
    organizations { organizationId organization { name } jobs rawBytes storedBytes }
    partitions { partition bytes jobs openJobs storedBytes lastEnded action reason due keptJobs } }
}`;

interface Named {
  name: string;
}

/** What the API answers. */
export interface RetentionView {
  retentionRules: {
    defaultKeepDays: number;
    rules: {
      organizationId: string;
      organization: Named | null;
      jobTemplateId: string | null;
      jobTemplate: Named | null;
      keepDays: number;
      setBy: string;
    }[];
  };
  storage: {
    totalBytes: number;
    storedBytes: number;
    oldestDay: string | null;
    nextDrop: string | null;
    archive: string | null;
    organizations: {
      organizationId: string;
      organization: Named | null;
      jobs: number;
      rawBytes: number;
      storedBytes: number;
    }[];
    partitions: {
      partition: string;
      bytes: number;
      jobs: number;
      openJobs: number;
      action: string;
      reason: string;
      due: string | null;
    }[];
  };
}

/** Bytes for people: `0 B`, `12.3 MB`. */
export const sayBytes = (bytes: number): string => {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${power === 0 ? bytes : (bytes / 1_000 ** power).toFixed(1)} ${units[power]}`;
};

const sayDays = (days: number): string =>
  days === 0 ? 'for ever' : `${days} ${days === 1 ? 'day' : 'days'}`;
/** Years past 2900 stand for "never". */
const sayPartition = (key: string): string => (Number(key.slice(0, 4)) > 2_900 ? 'for ever' : key);

/** Everything that `gantry retention` prints, line by line. */
export const sayRetention = ({ retentionRules, storage }: RetentionView): string[] => {
  const rules = retentionRules.rules.map((rule) => [
    rule.organization?.name ?? rule.organizationId,
    rule.jobTemplateId === null ? '' : (rule.jobTemplate?.name ?? rule.jobTemplateId),
    sayDays(rule.keepDays),
    rule.setBy,
  ]);
  const organizations = storage.organizations.map((one) => [
    one.organization?.name ?? one.organizationId,
    String(one.jobs),
    sayBytes(one.rawBytes),
    sayBytes(one.storedBytes),
  ]);
  const partitions = storage.partitions.map((one) => [
    sayPartition(one.partition),
    one.openJobs > 0 ? `${one.jobs} + ${one.openJobs} open` : String(one.jobs),
    sayBytes(one.bytes),
    one.action.toLowerCase(),
    one.due ?? '',
    one.reason,
  ]);
  return [
    `Output is kept ${sayDays(retentionRules.defaultKeepDays)} where no rule says otherwise; ${storage.archive ? `archived to ${storage.archive} before it is dropped` : 'dropped without an archive'}.`,
    `On disk ${sayBytes(storage.totalBytes)}, compressed output ${sayBytes(storage.storedBytes)}. Oldest: ${storage.oldestDay ?? 'nothing yet'}. Next drop: ${storage.nextDrop ?? 'none'}.`,
    ...section('Rules', ['organization', 'job template', 'kept', 'set by'], rules),
    ...section('Organizations', ['organization', 'jobs', 'output', 'stored'], organizations),
    ...section('Partitions', ['may go', 'jobs', 'on disk', 'now', 'due', 'why'], partitions),
  ];
};

const section = (title: string, head: string[], rows: string[][]): string[] =>
  rows.length === 0 ? [] : ['', paint.bold(title), table(head, rows)];

/** `gantry retention`. */
export const retentionCommand = async (options: { json?: boolean }): Promise<number> => {
  const view = await request<RetentionView>(findEndpoint(), QUERY);
  if (options.json) printJson(view);
  else for (const line of sayRetention(view)) print(line);
  return exitCodes.ok;
};

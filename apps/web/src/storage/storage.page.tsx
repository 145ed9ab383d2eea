/** What output takes on disk, how long it is kept, and what goes when. For administrators and auditors. */
import { Group, Stack, Text } from '@mantine/core';
import { Clock, HardDrive } from 'lucide-react';
import { useQuery } from '../api/use-query.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { tellBytes } from '../shell/format.js';
import { Page, Panel } from '../shell/page.js';
import { Empty } from '../shell/states.js';
import { storageQuery, type RetentionRule, type Storage, type StoragePartition } from './storage.queries.js';

const days = (keepDays: number): string =>
  keepDays === 0 ? 'for ever' : `${keepDays} ${keepDays === 1 ? 'day' : 'days'}`;
/** A year past 2900 stands for "never". */
const mayGo = (partition: string): string => (Number(partition.slice(0, 4)) > 2_900 ? 'never' : partition);

const ruleColumns: Column<RetentionRule>[] = [
  { title: 'Organization', cell: (rule) => rule.organization?.name ?? rule.organizationId },
  {
    title: 'Job template',
    cell: (rule) =>
      rule.jobTemplateId === null ? (
        <Text span c="dimmed">
          all others
        </Text>
      ) : (
        (rule.jobTemplate?.name ?? rule.jobTemplateId)
      ),
  },
  { title: 'Kept', cell: (rule) => days(rule.keepDays) },
  { title: 'Set by', wideOnly: true, cell: (rule) => rule.setBy },
];

const partitionColumns: Column<StoragePartition>[] = [
  { title: 'May go', cell: ({ partition }) => mayGo(partition) },
  { title: 'Jobs', cell: ({ jobs, openJobs }) => (openJobs > 0 ? `${jobs} + ${openJobs} running` : jobs) },
  { title: 'On disk', cell: (partition) => tellBytes(partition.bytes) },
  { title: 'Due', cell: ({ due }) => due ?? '' },
  {
    title: 'Now',
    wideOnly: true,
    cell: ({ action, reason }) => (
      <Text span fz="xs" c="dimmed">
        {action.toLowerCase()}: {reason}
      </Text>
    ),
  },
];

/** Everything there is, as one page of a list. */
const listOf = <Row,>(nodes: Row[] | undefined) =>
  nodes && { nodes, pageInfo: { hasNextPage: false, endCursor: null }, totalCount: nodes.length };

const Sizes = ({ storage, defaultKeepDays }: { storage: Storage; defaultKeepDays: number }) => (
  <Panel p="md">
    <Group gap="xl" data-testid="storage-sizes">
      {(
        [
          ['On disk', tellBytes(storage.totalBytes)],
          ['Compressed output', tellBytes(storage.storedBytes)],
          ['Oldest', storage.oldestDay ?? 'nothing yet'],
          ['Next drop', storage.nextDrop ?? 'none'],
          ['Kept without a rule', days(defaultKeepDays)],
          ['Archive', storage.archive ?? 'none'],
        ] as const
      ).map(([title, value]) => (
        <div key={title}>
          <Text fz="xs" c="dimmed">
            {title}
          </Text>
          <Text fw={600}>{value}</Text>
        </div>
      ))}
    </Group>
  </Panel>
);

/** The Storage page. */
export const StoragePage = () => {
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(storageQuery, {});
  const shared = { problem, onRetry: refresh, paging };
  return (
    <Page
      title="Storage"
      about="What the output of jobs takes on disk, how long it is kept, and what goes when."
    >
      <Stack>
        {data && <Sizes storage={data.storage} defaultKeepDays={data.retentionRules.defaultKeepDays} />}
        <DataTable
          {...shared}
          label="Partitions"
          testId="storage-table"
          columns={partitionColumns}
          rowKey={({ partition }) => partition}
          list={listOf(data?.storage.partitions)}
          noun="partition"
          empty={
            <Empty icon={HardDrive} title="Nothing is stored yet">
              Launch a job: its output is kept here.
            </Empty>
          }
        />
        {data && (
          <DataTable
            {...shared}
            label="Retention rules"
            columns={ruleColumns}
            rowKey={(rule) => `${rule.organizationId} ${rule.jobTemplateId}`}
            list={listOf(data.retentionRules.rules)}
            noun="rule"
            empty={
              <Empty icon={Clock} title="No rules">
                Set one with the <code>setRetentionRule</code> mutation of the API.
              </Empty>
            }
          />
        )}
      </Stack>
    </Page>
  );
};

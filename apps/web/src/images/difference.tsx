/** How the contents of two images differ: what is the same is left out. */
import { Badge, Group, Text, Title } from '@mantine/core';
import { Equal } from 'lucide-react';
import { useQuery } from '../api/use-query.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { tellCount } from '../shell/format.js';
import { Empty } from '../shell/states.js';
import { tellKind } from './contents.js';
import { differenceQuery, type ImageDifference } from './image.queries.js';

interface Row {
  kind: string;
  name: string;
  from: string | null;
  to: string | null;
}

const rowsOf = ({ added, removed, changed, properties }: ImageDifference): Row[] => [
  ...removed.map(({ kind, name, version }) => ({ kind: tellKind(kind), name, from: version, to: null })),
  ...added.map(({ kind, name, version }) => ({ kind: tellKind(kind), name, from: null, to: version })),
  ...changed.map(({ kind, ...rest }) => ({ kind: tellKind(kind), ...rest })),
  ...properties.map((property) => ({ kind: 'Image', ...property })),
];

const what = ({ from, to }: Row): { label: string; color: string } => {
  if (from === null) return { label: 'added', color: 'green' };
  if (to === null) return { label: 'removed', color: 'red' };
  return { label: 'changed', color: 'yellow' };
};

const version = (value: string | null) => (
  <span className="wrap-anywhere">
    {value ?? (
      <Text span c="dimmed">
        none
      </Text>
    )}
  </span>
);

const columns: Column<Row>[] = [
  {
    title: 'What',
    width: 120,
    cell: (row) => (
      <Badge variant="light" tt="none" color={what(row).color}>
        {what(row).label}
      </Badge>
    ),
  },
  { title: 'Package', cell: ({ name }) => <b className="wrap-anywhere">{name}</b> },
  { title: 'Before', cell: ({ from }) => version(from) },
  { title: 'After', cell: ({ to }) => version(to) },
  { title: 'Kind', wideOnly: true, cell: ({ kind }) => kind },
];

/** The difference from one digest to another. */
export const Difference = ({ from, to }: { from: string; to: string }) => {
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(differenceQuery, { from, to });
  const rows = data && rowsOf(data.compareImages);
  return (
    <section data-testid="image-difference">
      <Group justify="space-between" mb="xs">
        <Title order={2}>What differs</Title>
        {data && (
          <Text fz="sm" c="dimmed">
            {tellCount(data.compareImages.unchanged, 'package')} the same
          </Text>
        )}
      </Group>
      <DataTable
        label="Differences"
        testId="differences"
        columns={columns}
        rowKey={({ kind, name, from: was, to: is }) => [kind, name, was, is].join(' ')}
        list={
          rows && {
            nodes: rows,
            pageInfo: { hasNextPage: false, endCursor: null },
            totalCount: rows.length,
          }
        }
        problem={problem}
        onRetry={refresh}
        paging={paging}
        noun="difference"
        empty={
          <Empty icon={Equal} title="The same contents">
            Nothing that was looked at differs.
          </Empty>
        }
      />
    </section>
  );
};

/** A table of a list that is read page by page. */
import { Button, Group, Table, Text } from '@mantine/core';
import { ChevronLeft, ChevronRight } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import type { Connection } from '../api/document.js';
import { ProblemNote, TableSkeleton } from './states.js';
import { Panel } from './page.js';

/** A column. */
export interface Column<Row> {
  title: string;
  cell: (row: Row) => ReactNode;
  /** Left out on narrow screens. */
  wideOnly?: boolean;
  width?: number | string;
}

/** Which page of a list, by cursors. */
export interface Paging {
  after: string | null;
  page: number;
  next: (endCursor: string | null) => void;
  previous: () => void;
  first: () => void;
}

/** The cursors of the pages gone through, to go back by. */
export const usePaging = (): Paging => {
  const [cursors, setCursors] = useState<(string | null)[]>([null]);
  return {
    after: cursors.at(-1) ?? null,
    page: cursors.length,
    next: (endCursor) => setCursors((old) => [...old, endCursor]),
    previous: () => setCursors((old) => (old.length > 1 ? old.slice(0, -1) : old)),
    first: () => setCursors([null]),
  };
};

interface DataTableProps<Row> {
  label: string;
  testId?: string;
  columns: Column<Row>[];
  rowKey: (row: Row) => string;
  list: Connection<Row> | undefined;
  /** Rows in place of the list's own. */
  rows?: Row[];
  problem: unknown;
  onRetry: () => void;
  empty: ReactNode;
  paging: Paging;
  /** What a row is, as one. */
  noun: string;
}

const pluralOf = (noun: string): string => (noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`);

/** The end of a list: how many there are, which page this is, and the way to the others. */
export const ListFoot = ({
  list,
  paging,
  noun,
}: {
  list: Pick<Connection<unknown>, 'totalCount' | 'pageInfo'>;
  paging: Paging;
  noun: string;
}) => (
  <Group justify="space-between" px="md" py={8} className="table-foot">
    <Text c="dimmed" fz="xs">
      {list.totalCount.toLocaleString()} {list.totalCount === 1 ? noun : pluralOf(noun)}
      {paging.page > 1 && ` · page ${paging.page}`}
    </Text>
    {(paging.page > 1 || list.pageInfo.hasNextPage) && (
      <Group gap={4}>
        <Button
          size="compact-xs"
          variant="subtle"
          color="gray"
          leftSection={<ChevronLeft size={14} />}
          disabled={paging.page === 1}
          onClick={paging.previous}
        >
          Previous
        </Button>
        <Button
          size="compact-xs"
          variant="subtle"
          color="gray"
          rightSection={<ChevronRight size={14} />}
          disabled={!list.pageInfo.hasNextPage}
          onClick={() => paging.next(list.pageInfo.endCursor)}
        >
          Next
        </Button>
      </Group>
    )}
  </Group>
);

/** The table with its states. */
export const DataTable = <Row,>(props: DataTableProps<Row>) => {
  const { list, problem, paging, columns } = props;
  const rows = props.rows ?? list?.nodes ?? [];
  if (problem !== undefined && !list)
    return (
      <ProblemNote
        problem={problem}
        onRetry={props.onRetry}
        title={`The ${pluralOf(props.noun)} cannot be shown`}
      />
    );
  if (list && rows.length === 0 && paging.page === 1) return <Panel>{props.empty}</Panel>;
  return (
    <Panel>
      {!list ? (
        <TableSkeleton />
      ) : (
        <Table.ScrollContainer minWidth={0} type="native">
          <Table aria-label={props.label} data-testid={props.testId} className="data-table">
            <Table.Thead>
              <Table.Tr>
                {columns.map((column) => (
                  <Table.Th
                    key={column.title}
                    w={column.width}
                    visibleFrom={column.wideOnly ? 'sm' : undefined}
                    scope="col"
                  >
                    {column.title}
                  </Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((row) => (
                <Table.Tr key={props.rowKey(row)}>
                  {columns.map((column) => (
                    <Table.Td key={column.title} visibleFrom={column.wideOnly ? 'sm' : undefined}>
                      {column.cell(row)}
                    </Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {list && <ListFoot list={list} paging={paging} noun={props.noun} />}
    </Panel>
  );
};

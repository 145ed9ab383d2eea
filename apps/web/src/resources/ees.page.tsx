/** The images that jobs run in. */
import { Badge, Group, Text } from '@mantine/core';
import { Boxes } from 'lucide-react';
import { useQuery } from '../api/use-query.js';
import { Copyable } from '../shell/copy.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { shortHash } from '../shell/format.js';
import { Page } from '../shell/page.js';
import { Empty } from '../shell/states.js';
import { eesQuery, type ExecutionEnvironment } from './resource.queries.js';

const pulls: Record<string, string> = { ALWAYS: 'always', MISSING: 'if missing', NEVER: 'never' };

const columns: Column<ExecutionEnvironment>[] = [
  {
    title: 'Name',
    cell: (ee) => (
      <div className="cell-main">
        <Group gap={6}>
          <Text span fw={600}>
            {ee.name}
          </Text>
          {ee.isDefault && (
            <Badge size="sm" variant="light" tt="none" data-testid="ee-default">
              default
            </Badge>
          )}
          {ee.managed && (
            <Badge size="sm" variant="default" tt="none">
              managed
            </Badge>
          )}
        </Group>
        {ee.description && (
          <Text fz="xs" c="dimmed" lineClamp={2}>
            {ee.description}
          </Text>
        )}
      </div>
    ),
  },
  { title: 'Image', cell: (ee) => <Copyable text={ee.image} label="the image" /> },
  {
    title: 'Digest',
    wideOnly: true,
    cell: (ee) =>
      ee.digest ? (
        <Copyable text={ee.digest} short={shortHash(ee.digest)} label="the digest" />
      ) : (
        <Text span c="dimmed" fz="xs">
          not resolved yet
        </Text>
      ),
  },
  {
    title: 'Pull',
    wideOnly: true,
    cell: (ee) =>
      ee.pull ? (
        (pulls[ee.pull] ?? ee.pull)
      ) : (
        <Text span c="dimmed">
          as Kubernetes does
        </Text>
      ),
  },
  {
    title: 'Organization',
    wideOnly: true,
    cell: (ee) =>
      ee.organization?.name ?? (
        <Text span c="dimmed">
          global
        </Text>
      ),
  },
];

/** The Execution Environments page. */
export const EesPage = () => {
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(eesQuery, { first: 50, after: paging.after });
  return (
    <Page
      title="Execution Environments"
      about="Container images with Ansible and its collections. Every job runs in a fresh pod of one of them."
    >
      <DataTable
        label="Execution Environments"
        testId="ee-table"
        columns={columns}
        rowKey={(ee) => ee.id}
        list={data?.executionEnvironments}
        problem={problem}
        onRetry={refresh}
        paging={paging}
        noun="execution environment"
        empty={
          <Empty icon={Boxes} title="No Execution Environments">
            Register an image with the <code>createExecutionEnvironment</code> mutation of the API; jobs need
            one to run in.
          </Empty>
        }
      />
    </Page>
  );
};

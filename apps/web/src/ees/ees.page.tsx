/** The images that jobs run in. */
import { Anchor, Badge, Group, Text } from '@mantine/core';
import { Boxes } from 'lucide-react';
import { Link } from 'react-router';
import { useQuery } from '../api/use-query.js';
import { Copyable } from '../shell/copy.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { shortHash } from '../shell/format.js';
import { Page } from '../shell/page.js';
import { Empty } from '../shell/states.js';
import { eesQuery, type ExecutionEnvironment } from './ee.queries.js';

const pulls: Record<string, string> = { ALWAYS: 'always', MISSING: 'if missing', NEVER: 'never' };

/** When an image is pulled, in words. */
export const tellPull = (pull: string | null): string =>
  pull ? (pulls[pull] ?? pull) : 'as Kubernetes does';

const columns: Column<ExecutionEnvironment>[] = [
  {
    title: 'Name',
    cell: (ee) => (
      <div className="cell-main">
        <Group gap={6}>
          <Anchor component={Link} to={`/execution-environments/${ee.id}`} fw={600}>
            {ee.name}
          </Anchor>
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
          {ee.tagMoved && (
            <Badge size="sm" variant="light" color="yellow" tt="none">
              tag moved
            </Badge>
          )}
          {ee.lookup?.failure && (
            <Badge size="sm" variant="light" color="red" tt="none">
              registry: {ee.lookup.failure.replace('_', ' ')}
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
    cell: (ee) => (
      <Text span c={ee.pull ? undefined : 'dimmed'}>
        {tellPull(ee.pull)}
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

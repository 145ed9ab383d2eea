/** One inventory with its hosts. */
import { Anchor, Badge, Button, Code } from '@mantine/core';
import { FileSearch, Server } from 'lucide-react';
import { Link, useParams } from 'react-router';
import { stringify } from 'yaml';
import { useQuery } from '../api/use-query.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { tellCount } from '../shell/format.js';
import { Page, Panel } from '../shell/page.js';
import { Empty, ProblemNote } from '../shell/states.js';
import { inventoryQuery, type Host } from './resource.queries.js';

const some = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length > 0;

const columns: Column<Host>[] = [
  { title: 'Host', cell: (host) => <b>{host.name}</b> },
  {
    title: 'State',
    width: 110,
    cell: (host) => (
      <Badge variant="light" tt="none" color={host.enabled ? 'green' : 'gray'}>
        {host.enabled ? 'enabled' : 'disabled'}
      </Badge>
    ),
  },
  {
    title: 'Variables',
    cell: (host) =>
      some(host.variables) ? (
        <Code block className="json is-small">
          {stringify(host.variables).trimEnd()}
        </Code>
      ) : (
        '–'
      ),
  },
];

/** The page of an inventory. */
export const InventoryPage = () => {
  const { id = '' } = useParams();
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(inventoryQuery, { id, first: 50, after: paging.after });
  const inventory = data?.inventory;
  if (problem !== undefined && !data)
    return <ProblemNote problem={problem} onRetry={refresh} title="The inventory cannot be shown" />;
  if (data && !inventory) {
    return (
      <Panel>
        <Empty
          icon={FileSearch}
          title="There is no such inventory"
          action={
            <Button component={Link} to="/inventories">
              Go to the inventories
            </Button>
          }
        >
          It may have been deleted, or you may not see it.
        </Empty>
      </Panel>
    );
  }
  return (
    <Page
      title={inventory?.name ?? 'Inventory'}
      about={
        <>
          <Anchor component={Link} to="/inventories" fz="sm">
            Inventories
          </Anchor>
          {inventory &&
            ` · ${tellCount(inventory.totalHosts, 'host')} in ${tellCount(inventory.totalGroups, 'group')}`}
        </>
      }
    >
      {some(inventory?.variables) && (
        <Code block className="json" mb="md">
          {stringify(inventory?.variables)}
        </Code>
      )}
      <DataTable
        label="Hosts"
        columns={columns}
        rowKey={(host) => host.name}
        list={inventory?.hosts}
        problem={problem}
        onRetry={refresh}
        paging={paging}
        noun="host"
        empty={
          <Empty icon={Server} title="No hosts">
            A playbook on this inventory finds nothing to do. Make an inventory with hosts and use it in the
            template.
          </Empty>
        }
      />
    </Page>
  );
};

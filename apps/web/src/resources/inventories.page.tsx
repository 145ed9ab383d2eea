/** Hosts and groups, by inventory. */
import { Anchor, Text } from '@mantine/core';
import { Server } from 'lucide-react';
import { Link } from 'react-router';
import { useQuery } from '../api/use-query.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { Page } from '../shell/page.js';
import { Empty } from '../shell/states.js';
import { Ago } from '../shell/time.js';
import { inventoriesQuery, type Inventory } from './resource.queries.js';

const columns: Column<Inventory>[] = [
  {
    title: 'Inventory',
    cell: (inventory) => (
      <div className="cell-main">
        <Anchor component={Link} to={`/inventories/${inventory.id}`} fw={600}>
          {inventory.name}
        </Anchor>
        {inventory.description && (
          <Text fz="xs" c="dimmed" lineClamp={1}>
            {inventory.description}
          </Text>
        )}
      </div>
    ),
  },
  { title: 'Hosts', cell: (inventory) => inventory.totalHosts.toLocaleString() },
  { title: 'Groups', cell: (inventory) => inventory.totalGroups.toLocaleString() },
  { title: 'Organization', wideOnly: true, cell: (inventory) => inventory.organization?.name ?? '–' },
  { title: 'Made', wideOnly: true, cell: (inventory) => <Ago at={inventory.createdAt} /> },
];

/** The inventories page. */
export const InventoriesPage = () => {
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(inventoriesQuery, { first: 50, after: paging.after });
  return (
    <Page title="Inventories" about="The hosts that playbooks manage, in groups, with their variables.">
      <DataTable
        label="Inventories"
        columns={columns}
        rowKey={(inventory) => inventory.id}
        list={data?.inventories}
        problem={problem}
        onRetry={refresh}
        paging={paging}
        noun="inventory"
        empty={
          <Empty icon={Server} title="No inventories yet">
            List the hosts with the <code>createInventory</code> mutation of the API.
          </Empty>
        }
      />
    </Page>
  );
};

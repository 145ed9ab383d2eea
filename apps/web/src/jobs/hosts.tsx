/** Results by host, as they are counted. */
import { ScrollArea, Table, Tooltip } from '@mantine/core';
import { Server } from 'lucide-react';
import { useQuery } from '../api/use-query.js';
import { ListFoot, usePaging } from '../shell/data-table.js';
import { Panel } from '../shell/page.js';
import { Empty, ProblemNote, TableSkeleton } from '../shell/states.js';
import { hostsQuery, isOver, type HostSummary, type JobDetail } from './job.queries.js';

const kinds = [
  { key: 'ok', word: 'ok', className: 'is-ok' },
  { key: 'changed', word: 'changed', className: 'is-changed' },
  { key: 'failures', word: 'failed', className: 'is-failed' },
  { key: 'dark', word: 'unreachable', className: 'is-dark' },
  { key: 'skipped', word: 'skipped', className: 'is-skipped' },
  { key: 'rescued', word: 'rescued', className: 'is-rescued' },
  { key: 'ignored', word: 'ignored', className: 'is-ignored' },
] as const;

/** "ok" includes what changed; the bar shows each task once. */
const partsOf = (host: HostSummary) =>
  [
    { className: 'is-ok', word: 'ok', count: Math.max(0, host.ok - host.changed) },
    { className: 'is-changed', word: 'changed', count: host.changed },
    { className: 'is-failed', word: 'failed', count: host.failures },
    { className: 'is-dark', word: 'unreachable', count: host.dark },
    { className: 'is-skipped', word: 'skipped', count: host.skipped },
  ].filter(({ count }) => count > 0);

const Bar = ({ host }: { host: HostSummary }) => {
  const parts = partsOf(host);
  const told = parts.map(({ word, count }) => `${count} ${word}`).join(', ') || 'nothing yet';
  return (
    <Tooltip label={told}>
      <div className="host-bar" role="img" aria-label={told}>
        {parts.map(({ className, count }) => (
          <span key={className} className={className} style={{ flexGrow: count }} />
        ))}
      </div>
    </Tooltip>
  );
};

/** The Hosts tab. */
export const Hosts = ({ job }: { job: JobDetail }) => {
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(
    hostsQuery,
    { id: job.id, first: 100, after: paging.after },
    { everyMilliseconds: isOver(job.status) ? false : 2_000 },
  );
  const list = data?.job?.hostSummaries;
  if (problem !== undefined && !list)
    return <ProblemNote problem={problem} onRetry={refresh} title="The hosts cannot be shown" />;
  if (!list)
    return (
      <Panel>
        <TableSkeleton />
      </Panel>
    );
  if (list.nodes.length === 0) {
    return (
      <Panel>
        <Empty icon={Server} title={isOver(job.status) ? 'No host was reached' : 'No results yet'}>
          {isOver(job.status)
            ? 'The playbook ended before any task ran on a host. The output says why.'
            : 'Hosts appear here with their first task.'}
        </Empty>
      </Panel>
    );
  }
  return (
    <Panel>
      <ScrollArea type="auto">
        <Table aria-label="Results by host" data-testid="hosts-table" className="data-table hosts-table">
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">Host</Table.Th>
              <Table.Th scope="col" w="34%">
                Tasks
              </Table.Th>
              {kinds.map(({ key, word }) => (
                <Table.Th key={key} scope="col" ta="right">
                  {word}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {list.nodes.map((host) => (
              <Table.Tr key={host.host} data-host={host.host}>
                <Table.Td fw={600}>{host.host}</Table.Td>
                <Table.Td>
                  <Bar host={host} />
                </Table.Td>
                {kinds.map(({ key, className }) => (
                  <Table.Td
                    key={key}
                    ta="right"
                    className={`tabular count ${host[key] > 0 ? className : 'is-zero'}`}
                  >
                    {host[key]}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </ScrollArea>
      <ListFoot list={list} paging={paging} noun="host" />
    </Panel>
  );
};

/** Tasks of a job in time: when each ran, for how long, on which host longest, and how it went. */
import { Anchor, ScrollArea, Table, Text, Tooltip } from '@mantine/core';
import { ListChecks } from 'lucide-react';
import { Link } from 'react-router';
import { useQuery } from '../api/use-query.js';
import { ListFoot, usePaging } from '../shell/data-table.js';
import { tellDuration } from '../shell/format.js';
import { Panel } from '../shell/page.js';
import { Empty, ProblemNote, TableSkeleton } from '../shell/states.js';
import { barOf, extentOf, type Extent } from './task-bar.js';
import { isOver, tasksQuery, type JobDetail, type TaskSummary } from './job.queries.js';

const results = [
  { key: 'ok', word: 'ok', className: 'is-ok' },
  { key: 'changed', word: 'changed', className: 'is-changed' },
  { key: 'failed', word: 'failed', className: 'is-failed' },
  { key: 'unreachable', word: 'unreachable', className: 'is-dark' },
  { key: 'skipped', word: 'skipped', className: 'is-skipped' },
  { key: 'ignored', word: 'ignored', className: 'is-ignored' },
] as const;

/** The worst that happened gives the bar its colour. */
const lookOf = (task: TaskSummary): string => {
  if (task.failed > 0) return 'is-failed';
  if (task.unreachable > 0) return 'is-dark';
  if (task.changed > 0) return 'is-changed';
  if (task.ok === 0 && task.skipped > 0) return 'is-skipped';
  return 'is-ok';
};

const took = ({ startedAt, endedAt }: TaskSummary): string =>
  startedAt && endedAt ? tellDuration((Date.parse(endedAt) - Date.parse(startedAt)) / 1_000) : '';

const Bar = ({ task, extent }: { task: TaskSummary; extent: Extent }) => {
  const bar = barOf(task, extent);
  if (!bar) return null;
  const told = [
    took(task),
    task.slowestHost ? `slowest: ${task.slowestHost}, ${tellDuration(task.longestSeconds)}` : '',
  ]
    .filter(Boolean)
    .join('; ');
  return (
    <Tooltip label={told} disabled={!told}>
      <div className="task-track" role="img" aria-label={told}>
        <span
          className={lookOf(task)}
          style={{ left: `${bar.left.toFixed(2)}%`, width: `${bar.width.toFixed(2)}%` }}
        />
      </div>
    </Tooltip>
  );
};

const Row = ({ job, task, extent }: { job: JobDetail; task: TaskSummary; extent: Extent }) => (
  <Table.Tr data-task={task.task}>
    <Table.Td>
      <Anchor
        component={Link}
        to={`/jobs/${job.id}/events?task=${encodeURIComponent(task.uuid)}`}
        fz="sm"
        fw={600}
      >
        {task.task ?? 'Unnamed task'}
      </Anchor>
      <Text fz="xs" c="dimmed">
        {[task.play, task.role].filter(Boolean).join(' · ')}
      </Text>
    </Table.Td>
    <Table.Td>
      <Bar task={task} extent={extent} />
    </Table.Td>
    <Table.Td ta="right" className="tabular nowrap">
      {took(task)}
    </Table.Td>
    <Table.Td className="nowrap" visibleFrom="sm">
      {task.slowestHost && task.longestSeconds > 0 ? (
        <>
          {task.slowestHost}{' '}
          <Text span c="dimmed" fz="xs" className="tabular">
            {tellDuration(task.longestSeconds)}
          </Text>
        </>
      ) : null}
    </Table.Td>
    <Table.Td className="task-results">
      {results
        .filter(({ key }) => task[key] > 0)
        .map(({ key, word, className }) => (
          <span key={key} className={`tabular nowrap count ${className}`}>
            {task[key]} {word}
          </span>
        ))}
    </Table.Td>
  </Table.Tr>
);

/** The Tasks tab. */
export const Tasks = ({ job }: { job: JobDetail }) => {
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(
    tasksQuery,
    { id: job.id, first: 100, after: paging.after },
    { everyMilliseconds: isOver(job.status) ? false : 2_000 },
  );
  const list = data?.job?.taskSummaries;
  if (problem !== undefined && !list)
    return <ProblemNote problem={problem} onRetry={refresh} title="The tasks cannot be shown" />;
  if (!list)
    return (
      <Panel>
        <TableSkeleton />
      </Panel>
    );
  if (list.nodes.length === 0) {
    return (
      <Panel>
        <Empty icon={ListChecks} title={isOver(job.status) ? 'No task ran' : 'No task yet'}>
          {isOver(job.status)
            ? 'The playbook ended before its first task. The output says why.'
            : 'Tasks appear here as they begin.'}
        </Empty>
      </Panel>
    );
  }
  const extent = extentOf(list.nodes);
  return (
    <Panel>
      <ScrollArea type="auto">
        <Table aria-label="Tasks" data-testid="tasks-table" className="data-table tasks-table">
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col" w="28%">
                Task
              </Table.Th>
              <Table.Th scope="col" w="26%">
                When
              </Table.Th>
              <Table.Th scope="col" ta="right">
                Took
              </Table.Th>
              <Table.Th scope="col" visibleFrom="sm">
                Slowest host
              </Table.Th>
              <Table.Th scope="col">Results</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {list.nodes.map((task) => (
              <Row key={task.uuid} job={job} task={task} extent={extent} />
            ))}
          </Table.Tbody>
        </Table>
      </ScrollArea>
      <ListFoot list={list} paging={paging} noun="task" />
    </Panel>
  );
};

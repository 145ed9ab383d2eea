/** All jobs, newest first, as they change. */
import { Anchor, Button, MultiSelect, Text, Tooltip } from '@mantine/core';
import { PlayCircle, Rocket } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { watch, type LiveState } from '../api/live.js';
import { useQuery } from '../api/use-query.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { Page } from '../shell/page.js';
import { Empty } from '../shell/states.js';
import { Ago, Elapsed } from '../shell/time.js';
import { allJobStatusSubscription, isOver, jobsQuery, type JobRow, type JobStatus } from './job.queries.js';
import { LiveMark } from './live-mark.js';
import { statusWords, StatusBadge } from './status.js';

const columns: Column<JobRow>[] = [
  { title: 'Status', width: 148, cell: (job) => <StatusBadge status={job.status} testId="job-status" /> },
  {
    title: 'Job',
    cell: (job) => (
      <div className="cell-main">
        <Anchor component={Link} to={`/jobs/${job.id}`} fw={600} className="row-link">
          {job.name}
        </Anchor>
        {job.reason && !['SUCCESSFUL', 'FAILED', 'RUNNING'].includes(job.status) ? (
          <Tooltip label={job.reason.message} multiline maw={420}>
            <Text fz="xs" c="dimmed" lineClamp={1}>
              {job.reason.message}
            </Text>
          </Tooltip>
        ) : (
          <Text fz="xs" c="dimmed" ff="monospace" truncate>
            {job.id}
          </Text>
        )}
      </div>
    ),
  },
  {
    title: 'Template',
    wideOnly: true,
    cell: (job) =>
      job.jobTemplate ? (
        <Anchor component={Link} to={`/templates/${job.jobTemplate.id}`} c="inherit">
          {job.jobTemplate.name}
        </Anchor>
      ) : (
        <Text span c="dimmed">
          deleted
        </Text>
      ),
  },
  { title: 'Launched by', wideOnly: true, cell: (job) => job.launchedBy },
  {
    title: 'Started',
    wideOnly: true,
    width: 120,
    cell: (job) => <Ago at={job.startedAt ?? job.createdAt} />,
  },
  {
    title: 'Duration',
    width: 110,
    cell: (job) => (
      <Elapsed from={job.startedAt} to={job.finishedAt ?? (isOver(job.status) ? job.startedAt : null)} />
    ),
  },
];

const KEEP_CHANGES = 500;

/** Jobs that changed since the page was opened, by id; one that is heard of for the first time calls `onNew`. */
const useChanges = (onNew: () => void) => {
  const [changes, setChanges] = useState<ReadonlyMap<string, JobRow>>(new Map());
  const [state, setState] = useState<LiveState>('connecting');
  const known = useRef(new Set<string>());
  useEffect(
    () =>
      watch({
        document: allJobStatusSubscription,
        variables: () => ({}),
        onData: ({ jobStatus }) => {
          if (!known.current.has(jobStatus.id)) {
            known.current.add(jobStatus.id);
            onNew();
          }
          setChanges((old) => new Map(old.size >= KEEP_CHANGES ? [] : old).set(jobStatus.id, jobStatus));
        },
        onState: (next) => {
          setState(next);
          // What happened while the connection was away is not told again.
          if (next === 'retrying') onNew();
        },
      }),
    [onNew],
  );
  return { changes, state };
};

/** The jobs page. */
export const JobsPage = () => {
  const navigate = useNavigate();
  const [status, setStatus] = useState<JobStatus[]>([]);
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(
    jobsQuery,
    { first: 25, after: paging.after, status: status.length ? status : null },
    { everyMilliseconds: 20_000 },
  );
  const { changes, state } = useChanges(refresh);
  const rows = useMemo(() => data?.jobs.nodes.map((job) => newer(job, changes.get(job.id))), [data, changes]);
  return (
    <Page
      title="Jobs"
      about={<LiveMark state={state} />}
      actions={
        <>
          <MultiSelect
            aria-label="Only with status"
            placeholder={status.length ? undefined : 'Any status'}
            data={statusWords}
            value={status}
            onChange={(values) => {
              setStatus(values as JobStatus[]);
              paging.first();
            }}
            clearable
            size="sm"
            miw={190}
          />
          <Button component={Link} to="/templates" leftSection={<Rocket size={16} />}>
            Launch
          </Button>
        </>
      }
    >
      <DataTable
        label="Jobs, newest first"
        testId="jobs-table"
        columns={columns}
        rowKey={(job) => job.id}
        list={data?.jobs}
        rows={rows}
        problem={problem}
        onRetry={refresh}
        paging={paging}
        noun="job"
        empty={
          status.length ? (
            <Empty
              icon={PlayCircle}
              title="No job has that status"
              action={
                <Button variant="light" onClick={() => setStatus([])}>
                  Show all jobs
                </Button>
              }
            >
              Jobs with other statuses are hidden by the filter.
            </Empty>
          ) : (
            <Empty
              icon={PlayCircle}
              title="No jobs yet"
              action={<Button onClick={() => void navigate('/templates')}>Choose a template</Button>}
            >
              A job is one run of a template’s playbook in a pod of its own. Launch a template and watch its
              output here, line by line.
            </Empty>
          )
        }
      />
    </Page>
  );
};

/** Of two looks at a job, the later one: a job never goes back. */
const order: JobStatus[] = ['UNKNOWN', 'PENDING', 'WAITING', 'RUNNING'];
const newer = (listed: JobRow, changed: JobRow | undefined): JobRow => {
  if (!changed) return listed;
  const rank = (job: JobRow) => (isOver(job.status) ? 9 : order.indexOf(job.status));
  return rank(changed) >= rank(listed) ? changed : listed;
};

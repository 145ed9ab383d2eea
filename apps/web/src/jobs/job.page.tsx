/** One job: its status, output, hosts, events, life and what it ran with. */
import { Alert, Anchor, Button, Group, Skeleton, Tabs, Text, Title } from '@mantine/core';
import {
  Ban,
  CircleX,
  FileSearch,
  History,
  Hourglass,
  Info,
  ListChecks,
  ListTree,
  OctagonAlert,
  RotateCw,
  Server,
  SquareTerminal,
} from 'lucide-react';
import { useEffect, useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { watch } from '../api/live.js';
import { useQuery } from '../api/use-query.js';
import { tellCount } from '../shell/format.js';
import { Panel } from '../shell/page.js';
import { Empty, ProblemNote } from '../shell/states.js';
import { Ago, Elapsed } from '../shell/time.js';
import { useTitle } from '../shell/use-title.js';
import { LaunchDialog } from '../templates/launch-dialog.js';
import { CancelDialog } from './cancel-dialog.js';
import { Details } from './details.js';
import { Events } from './events.js';
import { Hosts } from './hosts.js';
import { isOver, jobQuery, jobStatusSubscription, type JobDetail } from './job.queries.js';
import { Output } from './output.js';
import { RelaunchDialog } from './relaunch-dialog.js';
import { StatusBadge } from './status.js';
import { Tasks } from './tasks.js';
import { Timeline } from './timeline.js';

const tabs = [
  { value: 'output', label: 'Output', icon: SquareTerminal },
  { value: 'hosts', label: 'Hosts', icon: Server },
  { value: 'tasks', label: 'Tasks', icon: ListChecks },
  { value: 'events', label: 'Events', icon: ListTree },
  { value: 'timeline', label: 'Timeline', icon: History },
  { value: 'details', label: 'Details', icon: Info },
];

/** The job, kept up to date until it is over. */
const useJob = (id: string) => {
  const { data, problem, loading, refresh } = useQuery(jobQuery, { id });
  const [live, setLive] = useState<JobDetail | null>(null);
  const known = data?.job?.id === id;
  useEffect(() => {
    if (!known) return;
    return watch({
      document: jobStatusSubscription,
      variables: () => ({ id }),
      onData: ({ jobStatus }) => setLive(jobStatus),
      // The end may tell more than the last change of status did: the record, the artifacts.
      onState: (state) => state === 'ended' && refresh(),
    });
  }, [id, known, refresh]);
  const asked = data?.job ?? null;
  const told = live?.id === id ? live : null;
  const job =
    told && asked && (isOver(told.status) || !isOver(asked.status)) && !(isOver(asked.status) && asked.record)
      ? told
      : asked;
  return { job, problem, loading, refresh };
};

/** What somebody must know before reading on. */
const Notice = ({ job }: { job: JobDetail }) => {
  if (job.status === 'ERROR') {
    return (
      <Alert
        color="orange"
        icon={<OctagonAlert size={18} />}
        title="The job ended in error"
        role="alert"
        data-testid="job-reason"
      >
        {job.reason?.message ?? 'No reason was recorded. The timeline shows how far it came.'}
      </Alert>
    );
  }
  if (job.status === 'FAILED' && job.reason) {
    return (
      <Alert color="red" icon={<CircleX size={18} />} role="alert" data-testid="job-reason">
        {job.reason.message}
      </Alert>
    );
  }
  if (job.status === 'WAITING' || (job.status === 'PENDING' && job.reason)) {
    return (
      <Alert
        color="yellow"
        icon={<Hourglass size={18} />}
        title="It waits"
        role="status"
        data-testid="job-reason"
      >
        {job.reason?.message ?? 'For its turn.'}
      </Alert>
    );
  }
  if (job.cancelRequested && !isOver(job.status)) {
    return (
      <Alert color="gray" icon={<Ban size={18} />} role="status">
        Somebody asked it to end; it is finishing its current step.
      </Alert>
    );
  }
  return null;
};

/** Which dialog is open. */
type Asked = 'cancel' | 'launch' | 'relaunch' | null;

const Header = ({ job, onAsk }: { job: JobDetail; onAsk: (asked: Asked) => void }) => (
  <Group justify="space-between" align="flex-start" gap="sm" className="job-head">
    <div>
      <Group gap="sm">
        <Title order={1}>{job.name}</Title>
        <StatusBadge status={job.status} size="lg" testId="job-status" />
      </Group>
      <Group gap={6} c="dimmed" fz="sm" mt={2} className="job-facts">
        <span data-testid="job-elapsed">
          <Elapsed from={job.startedAt} to={job.finishedAt ?? (isOver(job.status) ? job.startedAt : null)} />
        </span>
        <span aria-hidden="true">·</span>
        <span>
          launched <Ago at={job.createdAt} /> by {job.launchedBy}
        </span>
        <span aria-hidden="true">·</span>
        <span>{job.playbook}</span>
        {job.relaunchOf && (
          <>
            <span aria-hidden="true">·</span>
            <Anchor component={Link} to={`/jobs/${job.relaunchOf.jobId}`} fz="sm" data-testid="parent-job">
              {job.relaunchOf.mode === 'EXACT' ? 'exactly another job again' : 'another job again'}
            </Anchor>
          </>
        )}
        {job.pinned && (
          <>
            <span aria-hidden="true">·</span>
            <span>
              {tellCount(job.pinned.inventory.totalHosts, 'host')} in {job.pinned.image.name}
            </span>
          </>
        )}
      </Group>
    </div>
    <Group gap="xs">
      {!isOver(job.status) && (
        <Button
          variant="default"
          leftSection={<Ban size={15} />}
          onClick={() => onAsk('cancel')}
          data-testid="cancel-button"
        >
          {job.cancelRequested ? 'Canceling…' : 'Cancel'}
        </Button>
      )}
      {isOver(job.status) && (
        <Button
          variant="light"
          leftSection={<RotateCw size={15} />}
          onClick={() => onAsk('relaunch')}
          data-testid="relaunch"
        >
          Relaunch
        </Button>
      )}
      {!isOver(job.status) && job.jobTemplate && (
        <Button
          variant="light"
          leftSection={<RotateCw size={15} />}
          onClick={() => onAsk('launch')}
          data-testid="launch-again"
        >
          Launch again
        </Button>
      )}
    </Group>
  </Group>
);

const Dialogs = ({ job, asked, onAsk }: { job: JobDetail; asked: Asked; onAsk: (asked: Asked) => void }) => {
  const close = () => onAsk(null);
  return (
    <>
      <CancelDialog job={job} opened={asked === 'cancel'} onClose={close} />
      {asked === 'relaunch' && (
        <RelaunchDialog
          job={job}
          onClose={close}
          onLaunch={job.jobTemplate ? () => onAsk('launch') : undefined}
        />
      )}
      {asked === 'launch' && job.jobTemplate && (
        <LaunchDialog
          templateId={job.jobTemplate.id}
          from={{ extraVars: job.extraVars, limit: job.limit }}
          onClose={close}
        />
      )}
    </>
  );
};

/** The job page. */
export const JobPage = () => {
  const { id = '', tab = 'output' } = useParams();
  const navigate = useNavigate();
  const { job, problem, loading, refresh } = useJob(id);
  const [asked, setAsked] = useState<Asked>(null);
  useTitle(job ? `${job.name}: ${job.status.toLowerCase()}` : 'Job');
  if (loading) {
    return (
      <div className="page" aria-busy="true">
        <Skeleton h={26} w={280} mb={8} />
        <Skeleton h={14} w={420} maw="100%" mb="lg" />
        <Skeleton h={360} radius="lg" />
      </div>
    );
  }
  if (!job && problem !== undefined)
    return <ProblemNote problem={problem} onRetry={refresh} title="The job cannot be shown" />;
  if (!job) {
    return (
      <Panel>
        <Empty
          icon={FileSearch}
          title="There is no such job"
          action={
            <Button component={Link} to="/jobs">
              Go to the jobs
            </Button>
          }
        >
          It may belong to an organization that you do not see, or the address is mistyped.
        </Empty>
      </Panel>
    );
  }
  const fills = tab === 'output' || tab === 'events';
  return (
    <div className={`page job-page ${fills ? 'fills' : ''}`}>
      <Text fz="xs" mb={4}>
        <Anchor component={Link} to="/jobs" fz="xs">
          Jobs
        </Anchor>
        <Text span c="dimmed" fz="xs" ff="monospace">
          {' / '}
          {job.id}
        </Text>
      </Text>
      <Header job={job} onAsk={setAsked} />
      <Notice job={job} />
      <Tabs
        value={tab}
        onChange={(value) => void navigate(`/jobs/${id}/${value ?? ''}`, { replace: true })}
        keepMounted={false}
        className="job-tabs"
      >
        <Tabs.List>
          {tabs.map(({ value, label, icon: Icon }) => (
            <Tabs.Tab key={value} value={value} leftSection={<Icon size={15} />} data-testid={`tab-${value}`}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="output">
          <Output job={job} />
        </Tabs.Panel>
        <Tabs.Panel value="hosts">
          <Hosts job={job} />
        </Tabs.Panel>
        <Tabs.Panel value="tasks">
          <Tasks job={job} />
        </Tabs.Panel>
        <Tabs.Panel value="events">
          <Events job={job} />
        </Tabs.Panel>
        <Tabs.Panel value="timeline">
          <Timeline job={job} />
        </Tabs.Panel>
        <Tabs.Panel value="details">
          <Details job={job} />
        </Tabs.Panel>
      </Tabs>
      <Dialogs job={job} asked={asked} onAsk={setAsked} />
    </div>
  );
};

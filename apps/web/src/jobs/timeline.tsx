/** The life of a job, event by event. */
import { Code, Text, UnstyledButton } from '@mantine/core';
import {
  Ban,
  Boxes,
  CircleDot,
  CircleStop,
  Container,
  Download,
  Flag,
  History,
  KeyRound,
  Lock,
  MessageSquareWarning,
  Pin,
  Rocket,
  Send,
  ShieldAlert,
  Hourglass,
  type LucideIcon,
} from 'lucide-react';
import { useEffect, useState } from 'react';
import { useQuery } from '../api/use-query.js';
import { tellClock, tellDuration, tellInstant } from '../shell/format.js';
import { Panel } from '../shell/page.js';
import { Empty, ProblemNote, TableSkeleton } from '../shell/states.js';
import { isOver, timelineQuery, type JobDetail, type TimelineEntry } from './job.queries.js';

const icons: Record<string, LucideIcon> = {
  'job.requested': Rocket,
  'job.pinned': Pin,
  'job.queued': Hourglass,
  'job.dispatched': Send,
  'job.image_pull_started': Download,
  'job.image_pull_progressed': Download,
  'job.image_pull_retried': MessageSquareWarning,
  'job.image_pulled': Boxes,
  'job.image_cached': Boxes,
  'job.pod_created': Container,
  'job.pod_started': Container,
  'job.credentials_redeemed': KeyRound,
  'job.credential_alarm': ShieldAlert,
  'job.pod_problem': MessageSquareWarning,
  'job.cancel_requested': Ban,
  'job.record_sealed': Lock,
  'job.pod_destroyed': CircleStop,
  'job.finished': Flag,
};
const alarming = new Set([
  'job.credential_alarm',
  'job.pod_problem',
  'job.image_pull_retried',
  'job.cancel_requested',
]);

const Entry = ({ entry, previous }: { entry: TimelineEntry; previous: TimelineEntry | undefined }) => {
  const [open, setOpen] = useState(false);
  const Icon = icons[entry.type] ?? CircleDot;
  const since = previous ? (Date.parse(entry.at) - Date.parse(previous.at)) / 1000 : null;
  return (
    <li
      className={`life-entry ${alarming.has(entry.type) ? 'is-alarming' : ''}`}
      data-testid="timeline-entry"
      data-type={entry.type}
    >
      <div className="life-when">
        <time dateTime={entry.at} title={tellInstant(entry.at)}>
          {tellClock(entry.at)}
        </time>
        <span>{since === null ? '' : `+${tellDuration(since)}`}</span>
      </div>
      <span className="life-icon" aria-hidden="true">
        <Icon size={15} />
      </span>
      <div className="life-what">
        <Text component="div" fw={500} className="wrap-anywhere">
          {entry.summary}
        </Text>
        <Text component="div" fz="xs" c="dimmed">
          <Code fz={11}>{entry.type}</Code> by {entry.actor}
          {' · '}
          <UnstyledButton fz="xs" c="petrol" onClick={() => setOpen(!open)} aria-expanded={open}>
            {open ? 'Hide data' : 'Show data'}
          </UnstyledButton>
        </Text>
        {open && (
          <Code block mt={6} fz={11} className="json">
            {JSON.stringify(entry.data, null, 2)}
          </Code>
        )}
      </div>
    </li>
  );
};

/** The Timeline tab. */
export const Timeline = ({ job }: { job: JobDetail }) => {
  const over = isOver(job.status);
  const { data, problem, refresh } = useQuery(
    timelineQuery,
    { id: job.id },
    { everyMilliseconds: over ? false : 2_000 },
  );
  useEffect(refresh, [job.status, job.cancelRequested, refresh]);
  const entries = data?.job?.timeline;
  if (problem !== undefined && !entries)
    return <ProblemNote problem={problem} onRetry={refresh} title="The timeline cannot be shown" />;
  if (!entries)
    return (
      <Panel>
        <TableSkeleton />
      </Panel>
    );
  if (entries.length === 0)
    return (
      <Panel>
        <Empty icon={History} title="Nothing yet">
          The first event is the launch itself; it appears in a moment.
        </Empty>
      </Panel>
    );
  return (
    <Panel p="md">
      <ol className="life" aria-label="The life of this job" data-testid="timeline">
        {entries.map((entry, index) => (
          <Entry key={entry.version} entry={entry} previous={entries[index - 1]} />
        ))}
      </ol>
    </Panel>
  );
};

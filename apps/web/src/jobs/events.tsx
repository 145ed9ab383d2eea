/** The structured events of a job: found, filtered, looked at whole. */
import { Button, Group, SegmentedControl, Select, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useVirtualizer } from '@tanstack/react-virtual';
import { ListTree, X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { useSearchParams } from 'react-router';
import { tellClock } from '../shell/format.js';
import { Empty, ProblemNote, TableSkeleton } from '../shell/states.js';
import { EventDrawer } from './event-drawer.js';
import { isOver, type EventFilter, type JobDetail, type JobEvent } from './job.queries.js';
import { useEvents } from './use-events.js';

const kinds = [
  'runner_on_ok',
  'runner_on_failed',
  'runner_on_unreachable',
  'runner_on_skipped',
  'runner_item_on_ok',
  'runner_item_on_failed',
  'playbook_on_start',
  'playbook_on_play_start',
  'playbook_on_task_start',
  'playbook_on_stats',
  'verbose',
  'error',
  'warning',
];

const look = (event: JobEvent): { className: string; word: string } => {
  if (event.event === 'runner_on_unreachable') return { className: 'is-dark', word: 'unreachable' };
  if (event.failed) return { className: 'is-failed', word: 'failed' };
  if (event.changed) return { className: 'is-changed', word: 'changed' };
  if (event.event.endsWith('_on_skipped')) return { className: 'is-skipped', word: 'skipped' };
  if (event.event.endsWith('_on_ok')) return { className: 'is-ok', word: 'ok' };
  return { className: '', word: '' };
};

const Row = ({ event, onOpen }: { event: JobEvent; onOpen: () => void }) => {
  const { className, word } = look(event);
  return (
    <button
      type="button"
      className="event-row"
      onClick={onOpen}
      data-testid="event-row"
      aria-label={`Event ${event.counter}, ${event.event}`}
    >
      <span className="tabular event-number">{event.counter}</span>
      <span className={`event-result count ${className}`}>{word}</span>
      <span className="event-kind">{event.event}</span>
      <span className="event-host">{event.host}</span>
      <span className="event-task">{event.task ?? event.play ?? ''}</span>
      <span className="event-time tabular">{event.created ? tellClock(event.created) : ''}</span>
    </button>
  );
};

/** What is asked for: kept here, and the task in the address, so that the Tasks tab can lead to it. */
const useFilter = () => {
  const [which, setWhich] = useState('all');
  const [kind, setKind] = useState<string | null>(null);
  const [host, setHost] = useState('');
  const [askedHost] = useDebouncedValue(host.trim(), 300);
  const [text, setText] = useState('');
  const [askedText] = useDebouncedValue(text.trim(), 300);
  const [search, setSearch] = useSearchParams();
  const task = search.get('task');
  const filter: EventFilter = {
    ...(which === 'failed' && { failedOnly: true }),
    ...(which === 'changed' && { changedOnly: true }),
    ...(kind && { events: [kind] }),
    ...(askedHost && { hosts: [askedHost] }),
    ...(task && { tasks: [task] }),
    ...(askedText && { text: askedText }),
  };
  const leaveTask = () => setSearch({}, { replace: true });
  return { filter, which, setWhich, kind, setKind, host, setHost, text, setText, task, leaveTask };
};

/** The bar above the events. */
const EventTools = ({
  asked,
  events,
  more,
}: {
  asked: ReturnType<typeof useFilter>;
  events: readonly JobEvent[];
  more: boolean;
}) => (
  <Group className="out-tools" gap="xs" role="toolbar" aria-label="Which events">
    <SegmentedControl
      size="xs"
      value={asked.which}
      onChange={asked.setWhich}
      data={[
        { value: 'all', label: 'All' },
        { value: 'failed', label: 'Failed' },
        { value: 'changed', label: 'Changed' },
      ]}
    />
    <Select
      size="xs"
      aria-label="Kind"
      placeholder="Any kind"
      data={kinds}
      value={asked.kind}
      onChange={asked.setKind}
      clearable
      searchable
      w={190}
    />
    <TextInput
      size="xs"
      aria-label="Host"
      placeholder="Host, whole name"
      value={asked.host}
      onChange={(event) => asked.setHost(event.currentTarget.value)}
      w={150}
    />
    <TextInput
      size="xs"
      aria-label="Text"
      placeholder="Text in the output"
      value={asked.text}
      onChange={(event) => asked.setText(event.currentTarget.value)}
      maxLength={200}
      w={170}
      data-testid="events-text"
    />
    {asked.task && (
      <Button
        size="compact-xs"
        variant="light"
        rightSection={<X size={12} />}
        onClick={asked.leaveTask}
        data-testid="events-task"
      >
        {events.find((event) => event.task)?.task ?? 'one task'}
      </Button>
    )}
    <Text fz="xs" c="dimmed" ml="auto" className="tabular">
      {events.length.toLocaleString()}
      {more ? '+' : ''} events
    </Text>
  </Group>
);

/** The Events tab. */
export const Events = ({ job }: { job: JobDetail }) => {
  const asked = useFilter();
  const { filter } = asked;
  const [open, setOpen] = useState<number | null>(null);
  const { events, more, problem, loading, loadMore, retry } = useEvents(job.id, filter, !isOver(job.status));
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 32,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const nearEnd = (items.at(-1)?.index ?? 0) >= events.length - 40;
  const wantsMore = more && nearEnd && !loading && problem === undefined;
  useEffect(() => {
    if (wantsMore) loadMore();
  });
  return (
    <div className="output events">
      <EventTools asked={asked} events={events} more={more} />
      <div
        ref={scroller}
        className="out-scroll"
        role="region"
        aria-label="Events"
        tabIndex={0}
        data-testid="events-table"
      >
        {problem !== undefined && (
          <ProblemNote problem={problem} onRetry={retry} title="The events cannot be shown" />
        )}
        {events.length === 0 && loading && <TableSkeleton />}
        {events.length === 0 && !loading && problem === undefined && (
          <Empty icon={ListTree} title={Object.keys(filter).length ? 'No event matches' : 'No events yet'}>
            {Object.keys(filter).length
              ? 'Choose another result, kind, host or text.'
              : 'Events come with the playbook’s first line.'}
          </Empty>
        )}
        <div className="out-canvas" style={{ height: virtual.getTotalSize() }}>
          <div className="out-window" style={{ transform: `translateY(${items[0]?.start ?? 0}px)` }}>
            {items.map((item) => {
              const event = events[item.index]!;
              return <Row key={event.counter} event={event} onOpen={() => setOpen(event.counter)} />;
            })}
          </div>
        </div>
      </div>
      <EventDrawer jobId={job.id} counter={open} onClose={() => setOpen(null)} />
    </div>
  );
};

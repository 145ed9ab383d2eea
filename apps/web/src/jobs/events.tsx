/** The structured events of a job: found, filtered, looked at whole. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { ListTree } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { useSearchParams } from 'react-router';
import { tellClock } from '../shell/format.js';
import { Empty, ProblemNote, TableSkeleton } from '../shell/states.js';
import { EventDrawer } from './event-drawer.js';
import { filterIn } from './event-filter.js';
import { EventTools } from './event-tools.js';
import { isOver, type JobDetail, type JobEvent } from './job.queries.js';
import { useEvents } from './use-events.js';

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

/** The Events tab. */
export const Events = ({ job }: { job: JobDetail }) => {
  const [search] = useSearchParams();
  const filter = filterIn(search);
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
      <EventTools jobId={job.id} events={events} more={more} />
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
              ? 'Choose another result, kind, host, play, task or text.'
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

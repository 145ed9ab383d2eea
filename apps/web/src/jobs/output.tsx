/** The output of a job: every line from the first, live, searchable, at any length. */
import { Button } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDownToLine } from 'lucide-react';
import { useCallback, useEffect, useRef, useState, type UIEvent } from 'react';
import type { JobDetail } from './job.queries.js';
import { isOver } from './job.queries.js';
import { OutputLine } from './output-line.js';
import { OutputTools } from './output-tools.js';
import { useOutput, useSearch } from './use-output.js';

const LINE_HEIGHT = 19;
/** A step up that only a person makes. */
const BIG_STEP = 120;
/** A person's hand is on the wheel for this long after it was last seen there. */
const HAND_MILLISECONDS = 1_000;

const lineInAddress = (): number | null => {
  const found = /^#L(\d+)$/.exec(location.hash);
  return found ? Number(found[1]) - 1 : null;
};

/** The Output tab. */
export const Output = ({ job }: { job: JobDetail }) => {
  const feed = useOutput(job.id);
  const { store } = feed;
  const scroller = useRef<HTMLDivElement>(null);
  const [query, setQuery] = useState('');
  const [needle] = useDebouncedValue(query.toLowerCase(), 200);
  const [onlyMatches, setOnlyMatches] = useState(false);
  const [wrap, setWrap] = useState(true);
  const [current, setCurrent] = useState<number | null>(lineInAddress);
  const [follow, setFollow] = useState(() => lineInAddress() === null && !isOver(job.status));
  const found = useSearch(feed, needle);
  const filtered = onlyMatches && needle !== '';
  const count = filtered ? found.lines.length : store.totalLines;
  const lineAt = useCallback((index: number) => (filtered ? found.lines[index]! : index), [filtered, found]);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_HEIGHT,
    overscan: 24,
  });
  const items = virtual.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;

  useEffect(() => {
    if (!filtered) feed.ensure(first, last + 1);
    else for (const item of items) feed.ensure(lineAt(item.index), lineAt(item.index) + 1);
  });
  useEffect(() => {
    if (follow && count > 0) virtual.scrollToIndex(count - 1, { align: 'end' });
  }, [follow, count, wrap, virtual]);
  useEffect(() => virtual.measure(), [wrap, filtered, virtual]);

  const goTo = useCallback(
    (line: number) => {
      setFollow(false);
      setCurrent(line);
      const index = filtered ? found.lines.indexOf(line) : line;
      if (index >= 0) virtual.scrollToIndex(index, { align: 'center' });
    },
    [filtered, found, virtual],
  );
  const opened = useRef(false);
  useEffect(() => {
    const line = lineInAddress();
    if (opened.current || line === null || store.totalLines <= line) return;
    opened.current = true;
    goTo(line);
  }, [goTo, store, feed.version]);
  const onNumber = useCallback((line: number) => {
    setCurrent(line);
    history.replaceState(history.state, '', `#L${line + 1}`);
  }, []);

  const hand = useRef(0);
  const touched = () => (hand.current = performance.now());
  const before = useRef(0);
  const onScroll = (event: UIEvent<HTMLDivElement>) => {
    const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
    const up = before.current - scrollTop;
    before.current = scrollTop;
    const byHand = performance.now() - hand.current < HAND_MILLISECONDS;
    if (up > BIG_STEP || (up > 1 && byHand)) setFollow(false);
    else if (byHand && up < 0 && scrollHeight - scrollTop - clientHeight < 4 && !filtered) setFollow(true);
  };

  return (
    <div className={`output ${wrap ? 'wraps' : ''}`}>
      <OutputTools
        feed={feed}
        job={job}
        query={query}
        onQuery={setQuery}
        found={needle ? found : null}
        onlyMatches={onlyMatches}
        onOnlyMatches={setOnlyMatches}
        wrap={wrap}
        onWrap={setWrap}
        follow={follow}
        onFollow={setFollow}
        current={current}
        onGoTo={goTo}
      />
      <div
        ref={scroller}
        className="out-scroll"
        role="log"
        aria-label="Output"
        aria-live="off"
        tabIndex={0}
        data-testid="job-output"
        data-lines={store.totalLines}
        data-counter={store.lastCounter}
        data-final={feed.final !== null}
        onScroll={onScroll}
        onWheel={touched}
        onTouchMove={touched}
        onKeyDown={touched}
        onPointerDown={touched}
        onPointerMove={(event) => event.buttons > 0 && touched()}
      >
        {count === 0 && <p className="out-empty">{sayWhyEmpty(job, feed.final !== null, filtered)}</p>}
        <div className="out-canvas" style={{ height: virtual.getTotalSize() }}>
          <div className="out-window" style={{ transform: `translateY(${items[0]?.start ?? 0}px)` }}>
            {items.map((item) => {
              const line = lineAt(item.index);
              return (
                <div key={item.key} data-index={item.index} ref={wrap ? virtual.measureElement : undefined}>
                  <OutputLine
                    number={line}
                    text={store.line(line)}
                    failed={store.isFailure(line)}
                    current={line === current}
                    needle={needle}
                    onNumber={onNumber}
                  />
                </div>
              );
            })}
          </div>
        </div>
      </div>
      {!follow && !filtered && last < count - 1 && (
        <Button
          className="out-jump"
          size="xs"
          radius="xl"
          leftSection={<ArrowDownToLine size={14} />}
          onClick={() => setFollow(true)}
          data-testid="jump-to-latest"
        >
          {isOver(job.status) ? 'Jump to the end' : 'Jump to latest'}
        </Button>
      )}
    </div>
  );
};

const sayWhyEmpty = (job: JobDetail, complete: boolean, filtered: boolean): string => {
  if (filtered) return 'No line matches.';
  if (complete || isOver(job.status)) return 'This job printed nothing.';
  if (job.status === 'WAITING')
    return job.reason?.message ?? 'The job waits for its turn. Its output begins here.';
  return 'The output begins here as soon as the playbook prints its first line.';
};

/** The output of a job: every line from the first, live, searchable, at any length. */
import { Button } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDownToLine } from 'lucide-react';
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { isOver, type JobDetail } from './job.queries.js';
import { OutputLine } from './output-line.js';
import { neighbour, OutputTools } from './output-tools.js';
import { useFollow } from './use-follow.js';
import { useOutput, useSearch, type SearchResult } from './use-output.js';

const LINE_HEIGHT = 19;

const lineInAddress = (): number | null => {
  const found = /^#L(\d+)$/.exec(location.hash);
  return found ? Number(found[1]) - 1 : null;
};

/** Goes to the line that the address names, once it is there. */
const useAddress = (totalLines: number, goTo: (line: number) => void): void => {
  const gone = useRef(false);
  useEffect(() => {
    const line = lineInAddress();
    if (gone.current || line === null || totalLines <= line) return;
    gone.current = true;
    goTo(line);
  }, [goTo, totalLines]);
};

/** Goes to the first match of each new search, from `from` on, as soon as there is one. */
const useFirstMatch = (
  found: SearchResult,
  needle: string,
  from: number,
  goTo: (line: number) => void,
): void => {
  const gone = useRef('');
  useEffect(() => {
    if (!needle) gone.current = '';
    const line = found.needle === needle ? neighbour(found.lines, from - 1, 1) : null;
    if (line === null || gone.current === needle) return;
    gone.current = needle;
    goTo(line);
  }, [found, from, goTo, needle]);
};

/** What is shown, and where: the lines, or those that match, in a window that scrolls. */
const useLines = (job: JobDetail) => {
  const feed = useOutput(job.id);
  const { store } = feed;
  const scroller = useRef<HTMLDivElement>(null);
  const [query, setQuery] = useState('');
  const [needle] = useDebouncedValue(query.toLowerCase(), 200);
  const [onlyMatches, setOnlyMatches] = useState(false);
  const [wrap, setWrap] = useState(true);
  const [current, setCurrent] = useState<number | null>(lineInAddress);
  const following = useFollow(lineInAddress() === null && !isOver(job.status));
  const { follow, setFollow } = following;
  const found = useSearch(feed, needle);
  const filtered = onlyMatches && needle !== '';
  const count = filtered ? found.lines.length : store.totalLines;
  const lineAt = (index: number) => (filtered ? found.lines[index]! : index);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_HEIGHT,
    overscan: 24,
  });
  const items = virtual.getVirtualItems();
  useEffect(() => {
    if (!filtered) return feed.ensure(items[0]?.index ?? 0, (items.at(-1)?.index ?? 0) + 1);
    for (const item of items) feed.ensure(lineAt(item.index), lineAt(item.index) + 1);
  });
  const height = virtual.getTotalSize();
  useLayoutEffect(() => {
    // Not scrollToIndex: that goes on correcting itself for a while, against the hand of who scrolls up.
    if (follow && scroller.current) scroller.current.scrollTop = height;
  }, [follow, height]);
  useEffect(() => virtual.measure(), [wrap, filtered, virtual]);
  const goTo = useCallback(
    (line: number) => {
      setFollow(false);
      setCurrent(line);
      const index = filtered ? found.lines.indexOf(line) : line;
      if (index >= 0) virtual.scrollToIndex(index, { align: 'center' });
    },
    [filtered, found, setFollow, virtual],
  );
  useAddress(store.totalLines, goTo);
  useFirstMatch(found, needle, current ?? lineAt(items[0]?.index ?? 0), goTo);
  const search = {
    query,
    onQuery: setQuery,
    found: needle ? found : null,
    onlyMatches,
    onOnlyMatches: setOnlyMatches,
  };
  const view = { wrap, onWrap: setWrap, follow, onFollow: setFollow, current, onGoTo: goTo };
  return {
    feed,
    scroller,
    virtual,
    items,
    count,
    filtered,
    needle,
    lineAt,
    search,
    view,
    setCurrent,
    handlers: following.handlers,
  };
};

/** The Output tab. */
export const Output = ({ job }: { job: JobDetail }) => {
  const {
    feed,
    scroller,
    virtual,
    items,
    count,
    filtered,
    needle,
    lineAt,
    search,
    view,
    setCurrent,
    handlers,
  } = useLines(job);
  const { store } = feed;
  const { wrap, follow, current } = view;
  const onNumber = useCallback(
    (line: number) => {
      setCurrent(line);
      history.replaceState(history.state, '', `#L${line + 1}`);
    },
    [setCurrent],
  );
  return (
    <div className={`output ${wrap ? 'wraps' : ''}`}>
      <OutputTools feed={feed} job={job} {...search} {...view} />
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
        {...handlers}
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
        {feed.final?.status === null && !filtered && (
          <p className="out-unfinished" role="note" data-testid="output-unfinished">
            The pod ended without a final message. What it printed last may be missing here.
          </p>
        )}
      </div>
      {!follow && !filtered && (items.at(-1)?.index ?? 0) < count - 1 && (
        <Button
          className="out-jump"
          size="xs"
          radius="xl"
          leftSection={<ArrowDownToLine size={14} />}
          onClick={() => view.onFollow(true)}
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

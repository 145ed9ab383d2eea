/** The output of a job: every line from the first, live, searchable, at any length. */
import { Button } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { ArrowDownToLine } from 'lucide-react';
import { useCallback, useEffect, useRef, useState, type UIEvent } from 'react';
import { isOver, type JobDetail } from './job.queries.js';
import { OutputLine } from './output-line.js';
import type { OutputSearch } from './output-search.js';
import { OutputTools } from './output-tools.js';
import { useFollow } from './use-follow.js';
import { useLongList } from './use-long-list.js';
import { useOutput, useSearch, type SearchView } from './use-output.js';

const NONE: readonly number[] = [];

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

/** The same function for good, which does what the latest one does. */
const useStable = (latest: (line: number) => void): ((line: number) => void) => {
  const now = useRef(latest);
  now.current = latest;
  return useCallback((line: number) => now.current(line), []);
};

/** What is shown, and where: the lines, or those that match, in a window that scrolls. */
const useLines = (job: JobDetail) => {
  const feed = useOutput(job.id);
  const { store } = feed;
  const scroller = useRef<HTMLDivElement>(null);
  const [query, setQuery] = useState('');
  const [needle] = useDebouncedValue(query.toLowerCase(), 300);
  const [onlyMatches, setOnlyMatches] = useState(false);
  const [wrap, setWrap] = useState(true);
  const [current, setCurrent] = useState<number | null>(lineInAddress);
  const following = useFollow(lineInAddress() === null && !isOver(job.status));
  const { follow, setFollow } = following;
  const filtered = onlyMatches && needle !== '';
  // What a search that begins looks at; its first match is gone to.
  const view = useRef<SearchView>({ top: () => 0, goTo: () => undefined });
  const search = useSearch(feed, needle, view);
  const found = search?.lines ?? NONE;
  const count = filtered ? found.length : store.totalLines;
  const lineAt = (index: number) => (filtered ? found[index]! : index);
  const list = useLongList(count, scroller, follow);
  const { items } = list;
  const goTo = useStable((line: number) => {
    setFollow(false);
    setCurrent(line);
    // A match that was found just now has its place in the list before the list is drawn.
    list.goTo(filtered ? (search?.lines ?? NONE).indexOf(line) : line);
  });
  view.current = { top: () => (onlyMatches ? 0 : (current ?? items[0]?.index ?? 0)), goTo };
  useEffect(() => {
    if (!filtered) return feed.ensure(items[0]?.index ?? 0, (items.at(-1)?.index ?? 0) + 1);
    for (const item of items) feed.ensure(lineAt(item.index), lineAt(item.index) + 1);
    const atEnd = (items.at(-1)?.index ?? 0) >= count - 1;
    if (search && atEnd && !search.endReached && !search.searching && !search.failed)
      search.more().catch(() => undefined);
  });
  const { measureAnew } = list;
  useEffect(() => measureAnew(), [wrap, filtered, measureAnew]);
  useAddress(store.totalLines, goTo);
  const tools = {
    query,
    onQuery: setQuery,
    found: needle ? search : null,
    onlyMatches,
    onOnlyMatches: (on: boolean) => {
      setOnlyMatches(on);
      if (on) search?.fromTop().catch(() => undefined);
    },
    wrap,
    onWrap: setWrap,
    follow,
    onFollow: setFollow,
    current,
    onGoTo: goTo,
  };
  const handlers = {
    ...following.handlers,
    onScroll: (event: UIEvent<HTMLElement>) => {
      following.handlers.onScroll(event);
      list.onScroll(event);
    },
  };
  return {
    feed,
    scroller,
    list,
    items,
    count,
    filtered,
    needle,
    lineAt,
    search,
    tools,
    setCurrent,
    handlers,
  };
};

/** The Output tab. */
export const Output = ({ job }: { job: JobDetail }) => {
  const {
    feed,
    scroller,
    list,
    items,
    count,
    filtered,
    needle,
    lineAt,
    search,
    tools,
    setCurrent,
    handlers,
  } = useLines(job);
  const { store } = feed;
  const { wrap, follow, current } = tools;
  const onNumber = useCallback(
    (line: number) => {
      setCurrent(line);
      history.replaceState(history.state, '', `#L${line + 1}`);
    },
    [setCurrent],
  );
  return (
    <div className={`output ${wrap ? 'wraps' : ''}`}>
      <OutputTools feed={feed} job={job} {...tools} />
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
        {count === 0 && (
          <p className="out-empty">{sayWhyEmpty(job, feed.final !== null, filtered ? search : null)}</p>
        )}
        <div className="out-canvas" style={{ height: list.height }}>
          <div className="out-window" style={{ transform: `translateY(${items[0]?.start ?? 0}px)` }}>
            {items.map((item) => {
              const line = lineAt(item.index);
              return (
                <div key={item.key} data-index={item.own} ref={wrap ? list.measure : undefined}>
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
          onClick={() => tools.onFollow(true)}
          data-testid="jump-to-latest"
        >
          {isOver(job.status) ? 'Jump to the end' : 'Jump to latest'}
        </Button>
      )}
    </div>
  );
};

const sayWhyEmpty = (job: JobDetail, complete: boolean, search: OutputSearch | null): string => {
  if (search) return search.allKnown ? 'No line matches.' : 'Searching…';
  if (complete || isOver(job.status)) return 'This job printed nothing.';
  if (job.status === 'WAITING')
    return job.reason?.message ?? 'The job waits for its turn. Its output begins here.';
  return 'The output begins here as soon as the playbook prints its first line.';
};

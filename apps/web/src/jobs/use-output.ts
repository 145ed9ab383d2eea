/** The output of a job and a search in it, followed by a component. */
import { useEffect, useReducer, useState, useSyncExternalStore, type RefObject } from 'react';
import { OutputFeed } from './output-feed.js';
import { OutputSearch } from './output-search.js';

/** The feed of a job; the component is drawn again when it changes. */
export const useOutput = (jobId: string): OutputFeed => {
  const [feed, setFeed] = useState(() => new OutputFeed(jobId));
  useEffect(() => {
    const next = new OutputFeed(jobId);
    setFeed(next);
    return next.start();
  }, [jobId]);
  useSyncExternalStore(feed.subscribe, feed.getVersion);
  return feed;
};

/** How often a running job's new lines are searched. */
const LOOK_AGAIN_MILLISECONDS = 1_000;

/** Where a search begins, and who is told its first match. */
export interface SearchView {
  top(): number;
  goTo(line: number): void;
}

/** The search for a text, null for none; the component is drawn again when more is found. */
export const useSearch = (
  feed: OutputFeed,
  text: string,
  view: RefObject<SearchView>,
): OutputSearch | null => {
  const [search, setSearch] = useState<OutputSearch | null>(null);
  const [, draw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    setSearch(null);
    if (!text) return;
    const abort = new AbortController();
    const next = new OutputSearch(
      view.current.top(),
      (fromLine, backwards) => feed.find(text, fromLine, backwards, abort.signal),
      () => !abort.signal.aborted && draw(),
    );
    setSearch(next);
    next.begin().then(
      (line) => line !== null && !abort.signal.aborted && view.current.goTo(line),
      // It says itself that it failed.
      () => undefined,
    );
    const timer = setInterval(() => next.grown(feed.store.totalLines), LOOK_AGAIN_MILLISECONDS);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [feed, text, view]);
  return search;
};

/** The output of a job and a search in it, followed by a component. */
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { OutputFeed } from './output-feed.js';

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

const MATCHES_AT_MOST = 50_000;

/** Lines that match. */
export interface SearchResult {
  /** What was searched for, in lower case. */
  needle: string;
  lines: number[];
  /** Lines looked at so far. */
  scanned: number;
  /** There are more, which are not listed. */
  full: boolean;
}
const nothing: SearchResult = { needle: '', lines: [], scanned: 0, full: false };

/** Searches all lines, those not held too, and goes on as new ones come. Letters match in either case. */
export const useSearch = (feed: OutputFeed, text: string): SearchResult => {
  const [result, setResult] = useState<SearchResult>(nothing);
  const needle = text.toLowerCase();
  useEffect(() => {
    setResult(nothing);
    if (!needle) return;
    let stopped = false;
    let scanned = 0;
    let lines: number[] = [];
    let busy = false;
    const go = async () => {
      if (busy) return;
      busy = true;
      try {
        while (!stopped && scanned < feed.store.totalLines && lines.length < MATCHES_AT_MOST) {
          const piece = await feed.read(scanned);
          if (stopped || piece.length === 0) return;
          const found = piece.flatMap((line, index) =>
            line.toLowerCase().includes(needle) ? [scanned + index] : [],
          );
          scanned += piece.length;
          if (found.length) lines = [...lines, ...found];
          setResult({ needle, lines, scanned, full: lines.length >= MATCHES_AT_MOST });
          // Between pieces the page may breathe.
          await new Promise((resolve) => requestAnimationFrame(resolve));
        }
      } catch {
        // A piece could not be fetched: the next change, or the next search, tries again.
      } finally {
        busy = false;
      }
    };
    void go();
    const unsubscribe = feed.subscribe(() => void go());
    return () => {
      stopped = true;
      unsubscribe();
    };
  }, [feed, needle]);
  return useMemo(() => (needle ? result : nothing), [needle, result]);
};

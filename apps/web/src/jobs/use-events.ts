/** The events of a job that pass a filter, page after page as they are scrolled to, and new ones as they come. */
import { useCallback, useEffect, useRef, useState } from 'react';
import { request } from '../api/client.js';
import { eventsQuery, type EventFilter, type JobEvent } from './job.queries.js';

const PAGE = 200;
const LOOK_AGAIN_MILLISECONDS = 2_000;

interface State {
  events: JobEvent[];
  lastCounter: number;
  more: boolean;
  loading: boolean;
  problem: unknown;
}
const beginning: State = { events: [], lastCounter: 0, more: true, loading: false, problem: undefined };

/** `live`: more may come after the last page. */
export const useEvents = (jobId: string, filter: EventFilter, live: boolean) => {
  const [state, setState] = useState<State>(beginning);
  const key = jobId + JSON.stringify(filter);
  const now = useRef({ key, state, filter });
  now.current = { key, state, filter };
  const busy = useRef<string | null>(null);
  const load = useCallback(() => {
    const { key: asked, state: from, filter: wanted } = now.current;
    if (busy.current === asked) return;
    busy.current = asked;
    setState((old) => ({ ...old, loading: true, problem: undefined }));
    const done = (next: (old: State) => State) => {
      if (busy.current === asked) busy.current = null;
      if (now.current.key === asked) setState(next);
    };
    request(eventsQuery, {
      id: jobId,
      first: PAGE,
      after: from.lastCounter,
      filter: Object.keys(wanted).length ? wanted : null,
    }).then(
      ({ job }) =>
        done((old) => {
          const page = job?.events;
          if (!page) return { ...old, loading: false, more: false };
          const fresh = page.nodes.filter((event) => event.counter > (old.events.at(-1)?.counter ?? 0));
          return {
            events: fresh.length ? [...old.events, ...fresh] : old.events,
            lastCounter: Math.max(old.lastCounter, page.lastCounter),
            more: page.hasNextPage,
            loading: false,
            problem: undefined,
          };
        }),
      (problem: unknown) => done((old) => ({ ...old, loading: false, problem })),
    );
  }, [jobId]);
  useEffect(() => {
    now.current = { ...now.current, state: beginning };
    setState(beginning);
    load();
  }, [key, load]);
  useEffect(() => {
    if (!live) return;
    const timer = setInterval(
      () => !document.hidden && !now.current.state.more && load(),
      LOOK_AGAIN_MILLISECONDS,
    );
    return () => {
      clearInterval(timer);
      // Once more for what came between the last look and the end.
      load();
    };
  }, [live, load]);
  return { ...state, loadMore: load, retry: load };
};

/** A query followed by a component: its answer, whether it is being asked, and what went wrong. */
import { useCallback, useEffect, useRef, useState } from 'react';
import { request } from './client.js';
import type { Document } from './document.js';

/** The last answers, so that going back to a page shows it at once while it is asked again. */
const answers = new Map<string, unknown>();
const KEEP_ANSWERS = 60;

const remember = (key: string, answer: unknown): void => {
  answers.delete(key);
  answers.set(key, answer);
  if (answers.size > KEEP_ANSWERS) answers.delete(answers.keys().next().value!);
};

/** Forgets every answer: they belong to whoever was signed in. */
export const forgetAnswers = (): void => answers.clear();

/** A query's standing. */
export interface QueryState<Result> {
  data: Result | undefined;
  problem: unknown;
  /** Nothing to show yet. */
  loading: boolean;
  refresh: () => void;
}

interface Options {
  /** Ask again this often; not at all while the page is hidden. */
  everyMilliseconds?: number | false;
  skip?: boolean;
}

/** Asks a query, and again when its variables change. */
export const useQuery = <Result, Variables>(
  query: Document<Result, Variables>,
  variables: Variables,
  { everyMilliseconds = false, skip = false }: Options = {},
): QueryState<Result> => {
  const key = query.text + JSON.stringify(variables);
  const [state, setState] = useState<{ key: string; data?: Result; problem?: unknown }>({
    key,
    data: answers.get(key) as Result,
  });
  const [turn, setTurn] = useState(0);
  const latest = useRef(variables);
  latest.current = variables;
  useEffect(() => {
    if (skip) return;
    const abort = new AbortController();
    request(query, latest.current, abort.signal).then(
      (data) => {
        if (abort.signal.aborted) return;
        remember(key, data);
        setState({ key, data });
      },
      (problem: unknown) => {
        if (!abort.signal.aborted)
          setState((old) => ({ key, data: old.key === key ? old.data : undefined, problem }));
      },
    );
    return () => abort.abort();
  }, [key, query, skip, turn]);
  const refresh = useCallback(() => setTurn((now) => now + 1), []);
  useEffect(() => {
    if (skip || !everyMilliseconds) return;
    const timer = setInterval(() => !document.hidden && refresh(), everyMilliseconds);
    return () => clearInterval(timer);
  }, [everyMilliseconds, refresh, skip]);
  const data = state.key === key ? state.data : (answers.get(key) as Result | undefined);
  const problem = state.key === key ? state.problem : undefined;
  return { data, problem, loading: !skip && data === undefined && problem === undefined, refresh };
};

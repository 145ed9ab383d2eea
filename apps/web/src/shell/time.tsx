/** Times that tick. */
import { Text, Tooltip } from '@mantine/core';
import { useEffect, useState } from 'react';
import { tellAgo, tellDuration, tellInstant } from './format.js';

/** The time, again every `everyMilliseconds` while there is somebody to see it. */
export const useNow = (everyMilliseconds: number | null): number => {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (everyMilliseconds === null) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMilliseconds);
    return () => clearInterval(timer);
  }, [everyMilliseconds]);
  return now;
};

/** How long ago; the exact instant on hover. */
export const Ago = ({ at }: { at: string | null }) => {
  const now = useNow(15_000);
  if (!at)
    return (
      <Text span c="dimmed">
        –
      </Text>
    );
  return (
    <Tooltip label={tellInstant(at)}>
      <time dateTime={at} className="nowrap">
        {tellAgo(at, Math.max(now, Date.now()))}
      </time>
    </Tooltip>
  );
};

/** From `from` to `to`, ticking while there is no end. */
export const Elapsed = ({ from, to }: { from: string | null; to: string | null }) => {
  const now = useNow(from && !to ? 1_000 : null);
  if (!from)
    return (
      <Text span c="dimmed">
        –
      </Text>
    );
  const end = to ? Date.parse(to) : now;
  return <span className="nowrap tabular">{tellDuration(Math.max(0, end - Date.parse(from)) / 1000)}</span>;
};

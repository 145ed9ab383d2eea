/** Says whether what is shown follows what happens. */
import { Group, Text } from '@mantine/core';
import type { LiveState } from '../api/live.js';

const words: Record<LiveState, string> = {
  connecting: 'Live',
  live: 'Live',
  retrying: 'Connection lost, trying again…',
  ended: 'Complete',
  failed: 'Not live',
};

/** A dot and a word. */
export const LiveMark = ({ state, word }: { state: LiveState; word?: string }) => (
  <Group gap={6} wrap="nowrap" role="status" className={`live-mark is-${state}`}>
    <span className="live-dot" aria-hidden="true" />
    <Text span fz="xs" c="dimmed" className="nowrap">
      {word ?? words[state]}
    </Text>
  </Group>
);

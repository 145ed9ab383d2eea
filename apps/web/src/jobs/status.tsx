/** A job's status by colour, icon and word. */
import { Badge, type MantineSize } from '@mantine/core';
import {
  Ban,
  CircleCheck,
  CircleDashed,
  CircleHelp,
  CirclePlay,
  CircleX,
  Hourglass,
  OctagonAlert,
  type LucideIcon,
} from 'lucide-react';
import type { JobStatus } from './job.queries.js';

const looks: Record<JobStatus, { color: string; icon: LucideIcon; word: string }> = {
  PENDING: { color: 'gray', icon: CircleDashed, word: 'Pending' },
  WAITING: { color: 'yellow', icon: Hourglass, word: 'Waiting' },
  RUNNING: { color: 'blue', icon: CirclePlay, word: 'Running' },
  SUCCESSFUL: { color: 'green', icon: CircleCheck, word: 'Successful' },
  FAILED: { color: 'red', icon: CircleX, word: 'Failed' },
  ERROR: { color: 'orange', icon: OctagonAlert, word: 'Error' },
  CANCELED: { color: 'gray', icon: Ban, word: 'Canceled' },
  UNKNOWN: { color: 'gray', icon: CircleHelp, word: 'Unknown' },
};

/** Every status with its word, for filters. */
export const statusWords = (Object.keys(looks) as JobStatus[])
  .filter((status) => status !== 'UNKNOWN')
  .map((value) => ({ value, label: looks[value].word }));

/** The badge. `data-status` has the schema's own word. */
export const StatusBadge = ({
  status,
  size = 'md',
  testId,
}: {
  status: JobStatus;
  size?: MantineSize;
  testId?: string;
}) => {
  const { color, icon: Icon, word } = looks[status] ?? looks.UNKNOWN;
  return (
    <Badge
      variant="light"
      color={color}
      size={size}
      tt="none"
      fw={600}
      className={`status-badge ${status === 'RUNNING' ? 'is-running' : ''}`}
      leftSection={<Icon size={size === 'lg' ? 16 : 14} strokeWidth={2.2} />}
      data-testid={testId}
      data-status={status}
    >
      {word}
    </Badge>
  );
};

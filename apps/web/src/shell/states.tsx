/** What a page shows when it has nothing, waits, or failed. */
import { Alert, Button, Group, Skeleton, Stack, Text, ThemeIcon } from '@mantine/core';
import { CircleAlert, RotateCw, type LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';
import { adviceFor } from '../api/problem.js';

interface EmptyProps {
  icon: LucideIcon;
  title: string;
  children: ReactNode;
  action?: ReactNode;
}

/** Nothing here, and what to do next. */
export const Empty = ({ icon: Icon, title, children, action }: EmptyProps) => (
  <Stack align="center" gap="xs" py={56} px="md" ta="center">
    <ThemeIcon variant="light" size={52} radius="xl" aria-hidden="true">
      <Icon size={26} strokeWidth={1.6} />
    </ThemeIcon>
    <Text fw={600} fz="lg">
      {title}
    </Text>
    <Text c="dimmed" maw={460} component="div">
      {children}
    </Text>
    {action && <Group mt="xs">{action}</Group>}
  </Stack>
);

/** What went wrong, and what to do. */
export const ProblemNote = ({
  problem,
  onRetry,
  title,
}: {
  problem: unknown;
  onRetry?: () => void;
  title?: string;
}) => (
  <Alert
    color="red"
    variant="light"
    icon={<CircleAlert size={18} />}
    title={title ?? 'That did not work'}
    role="alert"
  >
    <Text component="p" m={0}>
      {problem instanceof Error ? problem.message : 'Something failed in the page itself.'}
    </Text>
    <Text component="p" m={0} mt={4} c="dimmed">
      {adviceFor(problem)}
    </Text>
    {onRetry && (
      <Button
        mt="sm"
        size="xs"
        variant="light"
        color="red"
        leftSection={<RotateCw size={14} />}
        onClick={onRetry}
      >
        Try again
      </Button>
    )}
  </Alert>
);

/** A table that is still coming. */
export const TableSkeleton = ({ rows = 6 }: { rows?: number }) => (
  <Stack gap={14} p="md" aria-busy="true" aria-label="Loading">
    {Array.from({ length: rows }, (_, row) => (
      <Group key={row} gap="lg" wrap="nowrap">
        <Skeleton h={14} w={84} />
        <Skeleton h={14} style={{ flex: 1 }} />
        <Skeleton h={14} w="18%" visibleFrom="sm" />
        <Skeleton h={14} w={90} />
      </Group>
    ))}
  </Stack>
);

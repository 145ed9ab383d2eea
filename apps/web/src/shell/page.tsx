/** The frame of a page's content: a heading with actions, and panels. */
import { Box, Group, Paper, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTitle } from './use-title.js';

interface PageProps {
  title: string;
  /** One line below the title. */
  about?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page with its heading. */
export const Page = ({ title, about, actions, children }: PageProps) => {
  useTitle(title);
  return (
    <Box className="page">
      <Group justify="space-between" align="flex-end" mb="md" gap="sm">
        <div>
          <Title order={1}>{title}</Title>
          {about && (
            <Text c="dimmed" fz="sm" component="div">
              {about}
            </Text>
          )}
        </div>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </Box>
  );
};

/** A sheet that holds a table or a form. */
export const Panel = ({ children, p = 0 }: { children: ReactNode; p?: number | string }) => (
  <Paper withBorder radius="lg" p={p} className="panel">
    {children}
  </Paper>
);

/** All job templates, ready to launch. */
import { Anchor, Button, Text } from '@mantine/core';
import { Rocket } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { useQuery } from '../api/use-query.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { Page } from '../shell/page.js';
import { Empty } from '../shell/states.js';
import { LaunchDialog } from './launch-dialog.js';
import { templatesQuery, type JobTemplate } from './template.queries.js';

const columnsWith = (onLaunch: (id: string) => void): Column<JobTemplate>[] => [
  {
    title: 'Template',
    cell: (template) => (
      <div className="cell-main">
        <Anchor component={Link} to={`/templates/${template.id}`} fw={600}>
          {template.name}
        </Anchor>
        {template.description && (
          <Text fz="xs" c="dimmed" lineClamp={1}>
            {template.description}
          </Text>
        )}
      </div>
    ),
  },
  {
    title: 'Playbook',
    wideOnly: true,
    cell: (template) => (
      <Text ff="monospace" fz="xs">
        {template.playbook}
      </Text>
    ),
  },
  { title: 'Project', wideOnly: true, cell: (template) => template.project?.name ?? '–' },
  { title: 'Inventory', wideOnly: true, cell: (template) => template.inventory?.name ?? '–' },
  {
    title: 'Execution Environment',
    wideOnly: true,
    cell: (template) =>
      template.executionEnvironment?.name ?? (
        <Text span c="dimmed">
          default
        </Text>
      ),
  },
  {
    title: 'Launch',
    width: 110,
    cell: (template) => (
      <Button
        size="compact-sm"
        variant="light"
        leftSection={<Rocket size={14} />}
        onClick={() => onLaunch(template.id)}
        data-testid="launch-button"
        data-name={template.name}
        aria-label={`Launch ${template.name}`}
      >
        Launch
      </Button>
    ),
  },
];

/** The templates page. */
export const TemplatesPage = () => {
  const paging = usePaging();
  const [launching, setLaunching] = useState<string | null>(null);
  const { data, problem, refresh } = useQuery(templatesQuery, { first: 50, after: paging.after });
  return (
    <Page title="Templates" about="How to run a playbook, saved: launch one and it becomes a job.">
      <DataTable
        label="Job templates"
        testId="templates-table"
        columns={columnsWith(setLaunching)}
        rowKey={(template) => template.id}
        list={data?.jobTemplates}
        problem={problem}
        onRetry={refresh}
        paging={paging}
        noun="template"
        empty={
          <Empty icon={Rocket} title="No templates yet">
            A template joins a project’s playbook with an inventory and credentials. Make the first with the{' '}
            <code>createJobTemplate</code> mutation of the API.
          </Empty>
        }
      />
      {launching && <LaunchDialog templateId={launching} onClose={() => setLaunching(null)} />}
    </Page>
  );
};

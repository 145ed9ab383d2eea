/** One job template: its settings and its jobs. */
import { Anchor, Button, Code, SimpleGrid, Text, Title } from '@mantine/core';
import { FileSearch, Rocket } from 'lucide-react';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { stringify } from 'yaml';
import { useQuery } from '../api/use-query.js';
import { jobsQuery } from '../jobs/job.queries.js';
import { StatusBadge } from '../jobs/status.js';
import { Facts } from '../shell/facts.js';
import { Page, Panel } from '../shell/page.js';
import { Empty, ProblemNote, TableSkeleton } from '../shell/states.js';
import { Ago, Elapsed } from '../shell/time.js';
import { LaunchDialog } from './launch-dialog.js';
import { templateQuery, type JobTemplate } from './template.queries.js';

const Settings = ({ template }: { template: JobTemplate }) => (
  <Panel p="md">
    <Title order={2} mb="xs">
      Settings
    </Title>
    <Facts
      rows={[
        ['Playbook', <Code key="p">{template.playbook}</Code>],
        ['Project', template.project?.name],
        ['Branch', template.scmBranch || 'the project’s own'],
        [
          'Inventory',
          template.inventory && (
            <Anchor key="i" component={Link} to={`/inventories/${template.inventory.id}`}>
              {template.inventory.name}
            </Anchor>
          ),
        ],
        ['Execution Environment', template.executionEnvironment?.name ?? 'the default'],
        ['Credentials', template.credentials.map(({ name }) => name).join(', ') || 'none'],
        ['Organization', template.organization?.name],
        ['Limit', template.limit || 'all hosts'],
        ['Mode', template.jobType === 'CHECK' ? 'Check only' : 'Run'],
        ['Forks', template.forks || 'Ansible’s default'],
        ['Verbosity', template.verbosity],
        ['Time limit', template.timeoutSeconds ? `${template.timeoutSeconds} s` : 'none'],
        ['Two at a time', template.allowSimultaneous ? 'yes' : 'no'],
        [
          'A launch may change',
          template.askOnLaunch.map((prompt) => prompt.toLowerCase().replaceAll('_', ' ')).join(', ') ||
            'nothing',
        ],
        ['Version', template.version],
      ]}
    />
  </Panel>
);

const LatestJobs = ({ id }: { id: string }) => {
  const { data, problem, refresh } = useQuery(
    jobsQuery,
    { first: 10, jobTemplateId: id },
    { everyMilliseconds: 5_000 },
  );
  return (
    <Panel p="md">
      <Title order={2} mb="xs">
        Latest jobs
      </Title>
      {problem !== undefined && !data && <ProblemNote problem={problem} onRetry={refresh} />}
      {!data && problem === undefined && <TableSkeleton rows={3} />}
      {data?.jobs.nodes.length === 0 && <Text c="dimmed">It has not been launched yet.</Text>}
      <ul className="plain-list">
        {data?.jobs.nodes.map((job) => (
          <li key={job.id}>
            <StatusBadge status={job.status} />
            <Anchor component={Link} to={`/jobs/${job.id}`}>
              <Ago at={job.createdAt} />
            </Anchor>
            <Text span c="dimmed" ml="auto">
              <Elapsed from={job.startedAt} to={job.finishedAt} />
            </Text>
          </li>
        ))}
      </ul>
    </Panel>
  );
};

/** The template page. */
export const TemplatePage = () => {
  const { id = '' } = useParams();
  const { data, problem, refresh } = useQuery(templateQuery, { id });
  const [launching, setLaunching] = useState(false);
  const template = data?.jobTemplate;
  if (problem !== undefined && !data)
    return <ProblemNote problem={problem} onRetry={refresh} title="The template cannot be shown" />;
  if (!data)
    return (
      <Panel>
        <TableSkeleton />
      </Panel>
    );
  if (!template) {
    return (
      <Panel>
        <Empty
          icon={FileSearch}
          title="There is no such template"
          action={
            <Button component={Link} to="/templates">
              Go to the templates
            </Button>
          }
        >
          It may have been deleted, or you may not see it.
        </Empty>
      </Panel>
    );
  }
  return (
    <Page
      title={template.name}
      about={
        template.description || (
          <Anchor component={Link} to="/templates" fz="sm">
            Templates
          </Anchor>
        )
      }
      actions={
        <Button
          leftSection={<Rocket size={16} />}
          onClick={() => setLaunching(true)}
          data-testid="launch-button"
          data-name={template.name}
        >
          Launch
        </Button>
      }
    >
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
        <Settings template={template} />
        <div className="stack">
          <LatestJobs id={id} />
          <Panel p="md">
            <Title order={2} mb="xs">
              Extra variables
            </Title>
            {typeof template.extraVars === 'object' &&
            template.extraVars &&
            Object.keys(template.extraVars).length > 0 ? (
              <Code block className="json">
                {stringify(template.extraVars)}
              </Code>
            ) : (
              <Text c="dimmed">None.</Text>
            )}
          </Panel>
        </div>
      </SimpleGrid>
      {launching && <LaunchDialog templateId={id} onClose={() => setLaunching(false)} />}
    </Page>
  );
};

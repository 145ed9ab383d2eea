/** Playbooks in git. */
import { Alert, Badge, Button, Text, Tooltip } from '@mantine/core';
import { CircleCheck, CircleDashed, CircleX, FolderGit2, RefreshCw } from 'lucide-react';
import { useState } from 'react';
import { request } from '../api/client.js';
import { useQuery } from '../api/use-query.js';
import { Copyable } from '../shell/copy.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { shortHash } from '../shell/format.js';
import { Page } from '../shell/page.js';
import { Empty, ProblemNote } from '../shell/states.js';
import { Ago } from '../shell/time.js';
import { projectsQuery, syncProjectMutation, type Project } from './resource.queries.js';

const looks: Record<string, { color: string; word: string; icon: typeof CircleX }> = {
  SUCCESSFUL: { color: 'green', word: 'Fetched', icon: CircleCheck },
  FAILED: { color: 'red', word: 'Failed', icon: CircleX },
  NEVER_UPDATED: { color: 'gray', word: 'Not fetched yet', icon: CircleDashed },
};

const ProjectStatus = ({ project }: { project: Project }) => {
  const { color, word, icon: Icon } = looks[project.status] ?? looks.NEVER_UPDATED!;
  const badge = (
    <Badge variant="light" color={color} tt="none" leftSection={<Icon size={14} />}>
      {word}
    </Badge>
  );
  return project.lastError ? (
    <Tooltip label={project.lastError} multiline maw={460}>
      {badge}
    </Tooltip>
  ) : (
    badge
  );
};

const Sync = ({
  id,
  name,
  onDone,
  onProblem,
}: {
  id: string;
  name: string;
  onDone: () => void;
  onProblem: (problem: unknown) => void;
}) => {
  const [busy, setBusy] = useState(false);
  const sync = () => {
    setBusy(true);
    request(syncProjectMutation, { id })
      .then(onDone, onProblem)
      .finally(() => setBusy(false));
  };
  return (
    <Button
      size="compact-sm"
      variant="subtle"
      leftSection={<RefreshCw size={14} />}
      loading={busy}
      onClick={sync}
      aria-label={`Fetch ${name} now`}
    >
      Fetch
    </Button>
  );
};

const columnsWith = (onDone: () => void, onProblem: (problem: unknown) => void): Column<Project>[] => [
  {
    title: 'Project',
    cell: (project) => (
      <div className="cell-main">
        <Text span fw={600}>
          {project.name}
        </Text>
        <Text fz="xs" c="dimmed" lineClamp={1} className="wrap-anywhere">
          {project.scmUrl}
        </Text>
      </div>
    ),
  },
  { title: 'Status', width: 150, cell: (project) => <ProjectStatus project={project} /> },
  {
    title: 'Branch',
    wideOnly: true,
    cell: (project) =>
      project.scmBranch || (
        <Text span c="dimmed">
          default
        </Text>
      ),
  },
  {
    title: 'Commit',
    wideOnly: true,
    cell: (project) =>
      project.commit ? (
        <Copyable text={project.commit} short={shortHash(project.commit)} label="the commit" />
      ) : (
        '–'
      ),
  },
  {
    title: 'Playbooks',
    wideOnly: true,
    cell: (project) => (
      <Tooltip label={project.playbooks.slice(0, 30).join(', ') || 'none found'} multiline maw={420}>
        <span>{project.playbooks.length}</span>
      </Tooltip>
    ),
  },
  { title: 'Fetched', wideOnly: true, cell: (project) => <Ago at={project.syncedAt} /> },
  {
    title: 'Fetch',
    width: 100,
    cell: (project) => <Sync id={project.id} name={project.name} onDone={onDone} onProblem={onProblem} />,
  },
];

/** The projects page. */
export const ProjectsPage = () => {
  const paging = usePaging();
  const [syncProblem, setSyncProblem] = useState<unknown>();
  const { data, problem, refresh } = useQuery(
    projectsQuery,
    { first: 50, after: paging.after },
    { everyMilliseconds: 10_000 },
  );
  const failed = data?.projects.nodes.filter((project) => project.lastError) ?? [];
  const done = () => {
    setSyncProblem(undefined);
    refresh();
  };
  return (
    <Page title="Projects" about="Git repositories with playbooks. A job runs exactly one commit of one.">
      {syncProblem !== undefined && <ProblemNote problem={syncProblem} title="The project was not fetched" />}
      {failed.map((project) => (
        <Alert
          key={project.id}
          color="red"
          variant="light"
          mb="sm"
          title={`${project.name} could not be fetched`}
        >
          <Text className="wrap-anywhere" ff="monospace" fz="xs">
            {project.lastError}
          </Text>
        </Alert>
      ))}
      <DataTable
        label="Projects"
        columns={columnsWith(done, setSyncProblem)}
        rowKey={(project) => project.id}
        list={data?.projects}
        problem={problem}
        onRetry={refresh}
        paging={paging}
        noun="project"
        empty={
          <Empty icon={FolderGit2} title="No projects yet">
            Name a git repository with the <code>createProject</code> mutation of the API; its playbooks can
            then be used by templates.
          </Empty>
        }
      />
    </Page>
  );
};

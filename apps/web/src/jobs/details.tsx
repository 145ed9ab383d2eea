/** What a job ran on and with, down to the byte. */
import { Anchor, Code, Group, SimpleGrid, Table, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { stringify } from 'yaml';
import { Copyable } from '../shell/copy.js';
import { Facts, type Fact } from '../shell/facts.js';
import { shortHash, tellCount, tellInstant } from '../shell/format.js';
import { Panel } from '../shell/page.js';
import type { JobDetail, JobStatus } from './job.queries.js';

const FactPanel = ({ title, rows, note }: { title: string; rows: Fact[]; note?: string }) => (
  <Panel p="md">
    <Title order={2} mb="xs">
      {title}
    </Title>
    {note && <Text c="dimmed">{note}</Text>}
    <Facts rows={rows} />
  </Panel>
);

const Variables = ({ title, value, empty }: { title: string; value: unknown; empty: string }) => {
  const some = typeof value === 'object' && value !== null && Object.keys(value).length > 0;
  return (
    <Panel p="md">
      <Title order={2} mb="xs">
        {title}
      </Title>
      {some ? (
        <Code block className="json">
          {stringify(value)}
        </Code>
      ) : (
        <Text c="dimmed">{empty}</Text>
      )}
    </Panel>
  );
};

const hash = (value: string, label: string) => (
  <Copyable text={value} short={shortHash(value)} label={label} />
);
const words: Record<string, string> = {
  MANUAL: 'By hand, through the API',
  RELAUNCH: 'Run again',
  SCHEDULE: 'Schedule',
  WEBHOOK: 'Webhook',
  EVENT: 'Event',
  WORKFLOW: 'Workflow',
  UNKNOWN: 'Unknown',
};

const JobLink = ({ id, status }: { id: string; status?: JobStatus }) => (
  <Anchor component={Link} to={`/jobs/${id}`} data-testid="related-job">
    {id.slice(-12)}
    {status && ` (${status.toLowerCase()})`}
  </Anchor>
);

const Launch = ({ job }: { job: JobDetail }) => (
  <FactPanel
    title="Launch"
    rows={[
      ['Job', <Copyable key="id" text={job.id} label="the job’s id" />],
      [
        'Template',
        job.jobTemplate ? (
          <Anchor key="t" component={Link} to={`/templates/${job.jobTemplate.id}`}>
            {job.jobTemplate.name}
          </Anchor>
        ) : (
          job.name
        ),
      ],
      ['Template version', job.jobTemplateVersion],
      ['Organization', job.organization?.name],
      ['Launched by', job.launchedBy],
      ['How', words[job.launchType] ?? job.launchType],
      ['Playbook', <Code key="p">{job.playbook}</Code>],
      ['Mode', job.jobType === 'CHECK' ? 'Check only' : 'Run'],
      [
        'Limit',
        job.limitHosts
          ? `${tellCount(job.limitHosts, 'host')} by name`
          : job.limit && <Code key="l">{job.limit}</Code>,
      ],
      ['Runs again', job.relaunchOf && <JobLink key="r" id={job.relaunchOf.jobId} />],
      [
        'Run again as',
        job.children.nodes.length > 0 && (
          <Group key="c" gap={6}>
            {job.children.nodes.map(({ id, status }) => (
              <JobLink key={id} id={id} status={status} />
            ))}
            {job.children.totalCount > job.children.nodes.length && <span>and others</span>}
          </Group>
        ),
      ],
      ['Accepted', tellInstant(job.createdAt)],
      ['Started', job.startedAt && tellInstant(job.startedAt)],
      ['Finished', job.finishedAt && tellInstant(job.finishedAt)],
    ]}
  />
);

const digestBefore = (digest: string | null): [string, ReactNode][] =>
  digest ? [['Digest of the job before', hash(digest, 'the digest before')]] : [];

const Pinned = ({ pinned }: { pinned: JobDetail['pinned'] }) => (
  <FactPanel
    title="Pinned"
    note={
      pinned
        ? undefined
        : 'Nothing is pinned yet: image, commit, inventory and credentials are fixed before the job gets its turn.'
    }
    rows={
      pinned
        ? [
            [
              'Execution Environment',
              <Anchor
                key="e"
                component={Link}
                to={`/execution-environments/${pinned.image.executionEnvironmentId}`}
              >
                {pinned.image.name}
              </Anchor>,
            ],
            ['Image', <Copyable key="i" text={pinned.image.image} label="the image" />],
            ['Digest', pinned.image.digest && hash(pinned.image.digest, 'the digest')],
            ...digestBefore(pinned.image.previousDigest),
            ['Why this one', pinned.image.reason],
            ['Branch', pinned.project.branch || 'the remote’s default'],
            ['Commit', hash(pinned.project.commit, 'the commit')],
            ['Project archive', hash(pinned.project.archiveSha256, 'the archive’s SHA-256')],
            ['Inventory', tellCount(pinned.inventory.totalHosts, 'host')],
            ['Inventory snapshot', hash(pinned.inventory.sha256, 'the snapshot’s SHA-256')],
          ]
        : []
    }
  />
);

const Credentials = ({ pinned }: { pinned: JobDetail['pinned'] }) => (
  <Panel p="md">
    <Title order={2} mb="xs">
      Credentials
    </Title>
    {pinned?.credentials.length ? (
      <Table aria-label="Credentials of this job" verticalSpacing={4} horizontalSpacing={0}>
        <Table.Tbody>
          {pinned.credentials.map((credential) => (
            <Table.Tr key={credential.id}>
              <Table.Td>{credential.name}</Table.Td>
              <Table.Td>{credential.credentialType}</Table.Td>
              <Table.Td ta="right">version {credential.version}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    ) : (
      <Text c="dimmed">This job got no credentials.</Text>
    )}
  </Panel>
);

/** The Details tab. */
export const Details = ({ job }: { job: JobDetail }) => (
  <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md" data-testid="job-details">
    <Launch job={job} />
    <Pinned pinned={job.pinned} />
    <FactPanel
      title="Agent in the pod"
      note={job.agent ? undefined : 'The agent has not spoken yet.'}
      rows={
        job.agent
          ? [
              ['Agent', job.agent.version],
              ['Mode', job.agent.mode === 'runner' ? 'through ansible-runner' : job.agent.mode],
              ['ansible-core', job.agent.ansibleCore],
              ['ansible-runner', job.agent.ansibleRunner],
              ['Python', job.agent.python],
            ]
          : []
      }
    />
    <FactPanel
      title="Record"
      note={job.record ? undefined : 'The record is sealed when the playbook has ended.'}
      rows={
        job.record
          ? [
              ['Events', job.record.lastCounter.toLocaleString()],
              ['Lines', job.record.lastLine.toLocaleString()],
              [
                'Exit code',
                job.record.exitCode === null ? 'did not run to its end' : String(job.record.exitCode),
              ],
              [
                'SHA-256 of the chain',
                <Copyable
                  key="h"
                  text={job.record.sha256}
                  short={shortHash(job.record.sha256)}
                  label="the record’s hash"
                />,
              ],
            ]
          : []
      }
    />
    <Credentials pinned={job.pinned} />
    <Variables
      title="Extra variables"
      value={job.extraVars}
      empty="None: neither the template nor the launch gave any."
    />
    <Variables
      title="Artifacts"
      value={job.artifacts}
      empty="None: the playbook left nothing with set_stats."
    />
  </SimpleGrid>
);

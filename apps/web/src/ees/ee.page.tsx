/** One execution environment: its settings, what its image meant when, and who uses it. */
import { Alert, Anchor, Badge, Box, Button, Group, SimpleGrid, Text, Title } from '@mantine/core';
import { Boxes, CircleAlert, FileSearch, History, RefreshCw } from 'lucide-react';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { request } from '../api/client.js';
import { ApiProblem } from '../api/problem.js';
import { useQuery } from '../api/use-query.js';
import { ImageContents } from '../images/contents.js';
import { imagePath } from '../images/image.page.js';
import { Copyable } from '../shell/copy.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { Facts } from '../shell/facts.js';
import { shortHash } from '../shell/format.js';
import { Page, Panel } from '../shell/page.js';
import { Empty, ProblemNote, TableSkeleton } from '../shell/states.js';
import { Ago } from '../shell/time.js';
import {
  eeQuery,
  resolveMutation,
  type DigestPeriod,
  type ShownEnvironment,
  type User,
} from './ee.queries.js';
import { tellPull } from './ees.page.js';

const sources: Record<string, string> = {
  LAUNCH: 'its registry, at a launch',
  SCHEDULE: 'its registry, on the schedule',
  PERSON: 'its registry, asked by a person',
  ENGINE: 'the engine that has it',
};

/** `now`: the digest that older ones are compared with. */
const columnsOf = (now: string | null): Column<DigestPeriod>[] => [
  {
    title: 'Digest',
    cell: ({ digest }) => (
      <Group gap={8}>
        <Copyable text={digest} short={shortHash(digest)} label="the digest" />
        <Anchor component={Link} to={imagePath(digest)} fz="xs">
          contents
        </Anchor>
        {now !== null && digest !== now && (
          <Anchor component={Link} to={imagePath(now, digest)} fz="xs" data-testid="compare-link">
            compare with now
          </Anchor>
        )}
      </Group>
    ),
  },
  { title: 'From', cell: ({ since }) => <Ago at={since} /> },
  {
    title: 'To',
    cell: ({ until }) =>
      until ? (
        <Ago at={until} />
      ) : (
        <Badge variant="light" tt="none">
          now
        </Badge>
      ),
  },
  {
    title: 'Image',
    wideOnly: true,
    cell: ({ image }) => (
      <Text span ff="monospace" fz="xs" className="wrap-anywhere">
        {image}
      </Text>
    ),
  },
  { title: 'Made for', wideOnly: true, cell: ({ platforms }) => platforms?.join(', ') || 'unknown' },
  { title: 'Said by', wideOnly: true, cell: ({ source }) => (source && sources[source]) ?? 'unknown' },
];

const UserLink = ({ user }: { user: User }) => {
  if (user.kind === 'JOB_TEMPLATE' && user.id)
    return (
      <Anchor component={Link} to={`/templates/${user.id}`}>
        {user.name}
      </Anchor>
    );
  return <>{user.kind === 'SETTING' ? user.name : `${user.kind.toLowerCase()} ${user.name}`}</>;
};

const Users = ({ users: { items, totalCount } }: Pick<ShownEnvironment, 'users'>) => (
  <Panel p="md">
    <Title order={2} mb="xs">
      Used by
    </Title>
    {totalCount === 0 && <Text c="dimmed">Nobody names it.</Text>}
    <ul className="plain-list">
      {items.map((user) => (
        <li key={`${user.kind} ${user.id}`}>
          <UserLink user={user} />
        </li>
      ))}
      {totalCount > items.length && <li>{totalCount - items.length} more</li>}
    </ul>
  </Panel>
);

const Settings = ({ ee }: { ee: ShownEnvironment }) => (
  <Panel p="md">
    <Title order={2} mb="xs">
      Settings
    </Title>
    <Facts
      rows={[
        ['Image', <Copyable key="i" text={ee.image} label="the image" />],
        ['Pull', tellPull(ee.pull)],
        ['Registry login', ee.credential?.name ?? 'none'],
        ['Organization', ee.organization?.name ?? 'global'],
        [
          'Digest',
          ee.digest ? (
            <Copyable key="d" text={ee.digest} short={shortHash(ee.digest)} label="the digest" />
          ) : (
            'not resolved yet'
          ),
        ],
        ['Since', ee.digestSince && <Ago key="s" at={ee.digestSince} />],
        ['Registry asked', ee.lookup ? <Ago key="a" at={ee.lookup.at} /> : 'never'],
        ['Version', ee.version],
        ['Made', <Ago key="m" at={ee.createdAt} />],
      ]}
    />
  </Panel>
);

/** What there is to know at once: the tag has moved, or its registry gave no answer. */
const Notes = ({ ee: { tagMoved, lookup } }: { ee: ShownEnvironment }) => (
  <>
    {tagMoved && (
      <Alert
        color="yellow"
        variant="light"
        mb="md"
        icon={<History size={18} />}
        title="The tag has moved since the last job"
        data-testid="tag-moved"
      >
        The last job had {shortHash(tagMoved.previousDigest)}; since <Ago at={tagMoved.since} /> it means{' '}
        {shortHash(tagMoved.digest)}, which the next job gets.
      </Alert>
    )}
    {lookup?.failure && (
      <Alert
        color="red"
        variant="light"
        mb="md"
        icon={<CircleAlert size={18} />}
        title="Its registry could not tell what the image is"
        data-testid="lookup-failure"
      >
        {lookup.words} (<Ago at={lookup.at} />)
      </Alert>
    )}
  </>
);

/** Can a registry say anything about it? Not about what is local to an engine. */
const isTold = ({ image, pull }: ShownEnvironment) => pull !== 'NEVER' && !image.startsWith('localhost/');

/** Asks the image's registry now. */
const AskRegistry = ({
  id,
  onDone,
  onProblem,
}: {
  id: string;
  onDone: () => void;
  onProblem: (problem: unknown) => void;
}) => {
  const [asking, setAsking] = useState(false);
  const ask = async () => {
    setAsking(true);
    onProblem(undefined);
    try {
      const { resolveExecutionEnvironment: answer } = await request(resolveMutation, { id });
      if (answer.message) onProblem(new ApiProblem(answer.code ?? 'REFUSED', answer.message));
    } catch (error) {
      onProblem(error);
    }
    setAsking(false);
    onDone();
  };
  return (
    <Button
      variant="default"
      leftSection={<RefreshCw size={16} />}
      loading={asking}
      onClick={() => void ask()}
      data-testid="resolve-button"
    >
      Ask its registry
    </Button>
  );
};

const NoSuchEe = () => (
  <Panel>
    <Empty
      icon={FileSearch}
      title="There is no such Execution Environment"
      action={
        <Button component={Link} to="/execution-environments">
          Go to the Execution Environments
        </Button>
      }
    >
      It may have been deleted, or you may not see it.
    </Empty>
  </Panel>
);

const About = ({ ee }: { ee: ShownEnvironment }) => (
  <Group gap={8}>
    <Anchor component={Link} to="/execution-environments" fz="sm">
      Execution Environments
    </Anchor>
    {ee.isDefault && (
      <Badge variant="light" tt="none">
        default
      </Badge>
    )}
    {ee.managed && (
      <Badge variant="default" tt="none">
        managed
      </Badge>
    )}
    {ee.description}
  </Group>
);

/** The page of an execution environment. */
export const EePage = () => {
  const { id = '' } = useParams();
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(eeQuery, { id, first: 20, after: paging.after });
  const [refusal, setRefusal] = useState<unknown>();
  const ee = data?.executionEnvironment;
  if (problem !== undefined && !data)
    return (
      <ProblemNote problem={problem} onRetry={refresh} title="The execution environment cannot be shown" />
    );
  if (!data)
    return (
      <Panel>
        <TableSkeleton />
      </Panel>
    );
  if (!ee) return <NoSuchEe />;
  return (
    <Page
      title={ee.name}
      about={<About ee={ee} />}
      actions={isTold(ee) && <AskRegistry id={id} onDone={refresh} onProblem={setRefusal} />}
    >
      {refusal !== undefined && <ProblemNote problem={refusal} title="Its registry gave no digest" />}
      <Notes ee={ee} />
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md" mb="md">
        <Settings ee={ee} />
        <Users users={ee.users} />
      </SimpleGrid>
      {ee.digest && (
        <Box mb="md">
          <ImageContents digest={ee.digest} />
        </Box>
      )}
      <Title order={2} mb="xs">
        What the image meant when
      </Title>
      <DataTable
        label="Digests"
        testId="digest-history"
        columns={columnsOf(ee.digest)}
        rowKey={({ since, digest }) => `${since} ${digest}`}
        list={ee.history}
        problem={problem}
        onRetry={refresh}
        paging={paging}
        noun="digest"
        empty={
          <Empty icon={Boxes} title="Never resolved">
            Its digest is looked up when a job runs in it, on a schedule, or when you ask its registry.
          </Empty>
        }
      />
    </Page>
  );
};

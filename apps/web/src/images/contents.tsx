/** What is in an image: what a job will stumble over, its facts, its packages. */
import { Alert, Button, Group, SegmentedControl, Text, TextInput, Title } from '@mantine/core';
import { CircleAlert, Download, PackageSearch, ScanSearch, Search, TriangleAlert } from 'lucide-react';
import { useEffect, useState } from 'react';
import { request } from '../api/client.js';
import { download } from '../api/download.js';
import { ApiProblem } from '../api/problem.js';
import { useQuery } from '../api/use-query.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { Facts, type Fact } from '../shell/facts.js';
import { tellBytes } from '../shell/format.js';
import { Panel } from '../shell/page.js';
import { Empty, ProblemNote, TableSkeleton } from '../shell/states.js';
import { Ago } from '../shell/time.js';
import {
  imageQuery,
  inspectMutation,
  packagesQuery,
  type Image,
  type ImagePackage,
} from './image.queries.js';

const kinds: Record<string, string> = {
  COLLECTION: 'Collections',
  PYTHON: 'Python',
  DPKG: 'System (dpkg)',
  RPM: 'System (rpm)',
  APK: 'System (apk)',
};
/** A kind of package, in words. */
export const tellKind = (kind: string): string => kinds[kind] ?? kind.toLowerCase();

/** How often an image that is being looked into is asked about. */
const ASK_MILLISECONDS = 1_500;

const Notes = ({ image }: { image: Image }) => (
  <>
    {image.findings.map(({ code, message }) => (
      <Alert
        key={code}
        color="red"
        variant="light"
        mb="md"
        icon={<TriangleAlert size={18} />}
        title="Jobs cannot run in this image"
        data-testid={`finding-${code}`}
      >
        {message}
      </Alert>
    ))}
    {image.failure && (
      <Alert
        color="orange"
        variant="light"
        mb="md"
        icon={<CircleAlert size={18} />}
        title="The last attempt to look into it failed"
        data-testid="inspection-failure"
      >
        {image.failure.message}
      </Alert>
    )}
    {image.problems.length > 0 && (
      <Alert color="yellow" variant="light" mb="md" title="Not everything could be read">
        {image.problems.join(' · ')}
      </Alert>
    )}
  </>
);

const ImageFacts = ({ image }: { image: Image }) => (
  <Panel p="md">
    <Facts
      testId="image-facts"
      rows={[
        ['ansible-core', image.ansibleCore ?? 'none'],
        ['ansible-runner', image.ansibleRunner ?? 'none'],
        ['Python', image.python ?? 'none'],
        ['System', [image.operatingSystem, image.architecture].filter(Boolean).join(', ')],
        ['Size', image.sizeBytes === null ? null : tellBytes(image.sizeBytes)],
        ['User', image.user || 'root'],
        ['Folder', image.workingDirectory],
        ['Entrypoint', image.entrypoint.join(' ')],
        ['Command', image.command.join(' ')],
        ['Built', image.createdAt && <Ago key="b" at={image.createdAt} />],
        ['Looked into', <Ago key="l" at={image.inspectedAt} />],
        ...image.labels.map(({ name, value }): Fact => [name, value]),
      ]}
    />
  </Panel>
);

const columns: Column<ImagePackage>[] = [
  { title: 'Package', cell: ({ name }) => <b className="wrap-anywhere">{name}</b> },
  { title: 'Version', cell: ({ version }) => <span className="wrap-anywhere">{version}</span> },
  { title: 'Kind', wideOnly: true, cell: ({ kind }) => tellKind(kind) },
  {
    title: '',
    wideOnly: true,
    cell: ({ detail }) => (
      <Text span fz="xs" c="dimmed" className="wrap-anywhere">
        {detail}
      </Text>
    ),
  },
];

const Packages = ({ image }: { image: Image }) => {
  const [kind, setKind] = useState('');
  const [search, setSearch] = useState('');
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(packagesQuery, {
    digest: image.digest,
    kind: kind || null,
    search: search.trim() || null,
    first: 25,
    after: paging.after,
  });
  return (
    <>
      <Group mb="xs" gap="sm">
        <SegmentedControl
          size="xs"
          value={kind}
          onChange={(value) => {
            setKind(value);
            paging.first();
          }}
          data={[
            { value: '', label: 'All' },
            ...image.packageCounts.map((of) => ({
              value: of.kind,
              label: `${tellKind(of.kind)} ${of.count}`,
            })),
          ]}
        />
        <TextInput
          size="xs"
          placeholder="Part of a name"
          aria-label="Find a package"
          leftSection={<Search size={14} />}
          value={search}
          onChange={(event) => {
            setSearch(event.currentTarget.value);
            paging.first();
          }}
        />
      </Group>
      <DataTable
        label="Packages"
        testId="packages"
        columns={columns}
        rowKey={({ kind: of, name, version, detail }) => [of, name, version, detail].join(' ')}
        list={data?.image?.packages}
        problem={problem}
        onRetry={refresh}
        paging={paging}
        noun="package"
        empty={
          <Empty icon={PackageSearch} title="No such package">
            {search ? 'No package of this image has that in its name.' : 'Nothing of this kind is in it.'}
          </Empty>
        }
      />
    </>
  );
};

/** Has it looked into, now. */
const Inspect = ({ digest, again, onDone }: { digest: string; again: boolean; onDone: () => void }) => {
  const [problem, setProblem] = useState<unknown>();
  const ask = async () => {
    setProblem(undefined);
    try {
      const { inspectImage: answer } = await request(inspectMutation, { digest });
      if (answer.message) setProblem(new ApiProblem(answer.code ?? 'REFUSED', answer.message));
    } catch (error) {
      setProblem(error);
    }
    onDone();
  };
  return (
    <>
      <Button
        size="xs"
        variant="default"
        leftSection={<ScanSearch size={14} />}
        onClick={() => void ask()}
        data-testid="inspect-button"
      >
        {again ? 'Look again' : 'Look into it'}
      </Button>
      {problem !== undefined && <ProblemNote problem={problem} title="It is not looked into" />}
    </>
  );
};

const untold: Record<string, string> = {
  NONE: 'No engine has it yet, as far as is known: pull it, or launch a job in it. Then it is looked into by itself.',
  FAILED: 'The last attempt failed. Ask for another.',
};

/** The contents of the image of this digest; asked about again while it is being looked into. */
export const ImageContents = ({ digest }: { digest: string }) => {
  const [watching, setWatching] = useState(false);
  const { data, problem, refresh } = useQuery(
    imageQuery,
    { digest },
    { everyMilliseconds: watching && ASK_MILLISECONDS },
  );
  const image = data?.image;
  const requested = image?.inspection === 'REQUESTED';
  useEffect(() => setWatching(requested), [requested]);
  if (problem !== undefined && !data)
    return <ProblemNote problem={problem} onRetry={refresh} title="The contents cannot be shown" />;
  if (!data)
    return (
      <Panel>
        <TableSkeleton rows={3} />
      </Panel>
    );
  const known = image?.inspectedAt != null;
  return (
    <section data-testid="image-contents" data-inspection={image?.inspection}>
      <Group justify="space-between" mb="xs">
        <Title order={2}>Contents</Title>
        <Group gap="xs">
          {requested && (
            <Text fz="sm" c="dimmed" role="status">
              It is being looked into…
            </Text>
          )}
          {image && !requested && <Inspect digest={digest} again={known} onDone={refresh} />}
          {known && (
            <Button
              size="xs"
              variant="default"
              leftSection={<Download size={14} />}
              onClick={() => download(image.sbomUrl)}
              data-testid="sbom"
            >
              Bill of materials
            </Button>
          )}
        </Group>
      </Group>
      {image && <Notes image={image} />}
      {known ? (
        <>
          <ImageFacts image={image} />
          <Title order={3} fz="md" mt="md" mb="xs">
            Packages
          </Title>
          <Packages image={image} />
        </>
      ) : (
        <Panel>
          <Empty icon={PackageSearch} title="Not known yet">
            {untold[image?.inspection ?? 'NONE'] ?? 'Ask again in a moment.'}
          </Empty>
        </Panel>
      )}
    </section>
  );
};

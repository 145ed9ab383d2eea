/** The names and types of secrets; the secrets stay in the vault. */
import { Badge, Text } from '@mantine/core';
import { KeyRound } from 'lucide-react';
import { useQuery } from '../api/use-query.js';
import { DataTable, usePaging, type Column } from '../shell/data-table.js';
import { Page } from '../shell/page.js';
import { Empty } from '../shell/states.js';
import { Ago } from '../shell/time.js';
import { credentialsQuery, type Credential } from './resource.queries.js';

const ENCRYPTED = '$encrypted$';

const Inputs = ({ inputs }: { inputs: Record<string, unknown> }) => (
  <div className="inputs">
    {Object.entries(inputs ?? {}).map(([name, value]) => (
      <Badge key={name} variant="default" tt="none" size="sm" fw={400}>
        {name}
        {value === ENCRYPTED ? ' (secret)' : `: ${String(value)}`}
      </Badge>
    ))}
  </div>
);

const columnsWith = (types: { id: string; name: string }[]): Column<Credential>[] => [
  {
    title: 'Credential',
    cell: (credential) => (
      <div className="cell-main">
        <Text span fw={600}>
          {credential.name}
        </Text>
        {credential.description && (
          <Text fz="xs" c="dimmed" lineClamp={1}>
            {credential.description}
          </Text>
        )}
      </div>
    ),
  },
  {
    title: 'Type',
    cell: (credential) =>
      types.find(({ id }) => id === credential.credentialType)?.name ?? credential.credentialType,
  },
  { title: 'Inputs', wideOnly: true, cell: (credential) => <Inputs inputs={credential.inputs} /> },
  { title: 'Version', wideOnly: true, cell: (credential) => credential.version },
  { title: 'Organization', wideOnly: true, cell: (credential) => credential.organization?.name ?? '–' },
  { title: 'Made', wideOnly: true, cell: (credential) => <Ago at={credential.createdAt} /> },
];

/** The credentials page. */
export const CredentialsPage = () => {
  const paging = usePaging();
  const { data, problem, refresh } = useQuery(credentialsQuery, { first: 50, after: paging.after });
  return (
    <Page
      title="Credentials"
      about="Keys and passwords that jobs use. They go from the vault to the pod, sealed, and are never shown."
    >
      <DataTable
        label="Credentials"
        columns={columnsWith(data?.credentialTypes ?? [])}
        rowKey={(credential) => credential.id}
        list={data?.credentials}
        problem={problem}
        onRetry={refresh}
        paging={paging}
        noun="credential"
        empty={
          <Empty icon={KeyRound} title="No credentials yet">
            Jobs on this machine’s own container network may need none. Otherwise add a key or password with
            the <code>createCredential</code> mutation of the API.
          </Empty>
        }
      />
    </Page>
  );
};

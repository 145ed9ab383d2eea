/** The bar above the events: which ones. */
import { Autocomplete, Button, Chip, Group, MultiSelect, Select, Text, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { X } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useSearchParams } from 'react-router';
import { useQuery } from '../api/use-query.js';
import { statuses, statusesIn, withFilter, type FilterName } from './event-filter.js';
import { tasksQuery, type JobEvent } from './job.queries.js';

const kinds = [
  'runner_on_ok',
  'runner_on_failed',
  'runner_on_unreachable',
  'runner_on_skipped',
  'runner_item_on_ok',
  'runner_item_on_failed',
  'runner_item_on_skipped',
  'playbook_on_start',
  'playbook_on_play_start',
  'playbook_on_task_start',
  'playbook_on_stats',
  'verbose',
  'error',
  'warning',
];
/** Tasks that are offered by name; another name may be typed. */
const OFFERED = 500;
const TYPED_MILLISECONDS = 300;
/** A task of a link from the Tasks tab. */
const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

/** A text that is typed; told a moment after the last key. */
const useTyped = (value: string, onChange: (value: string) => void) => {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  const tell = useDebouncedCallback(onChange, TYPED_MILLISECONDS);
  return {
    value: typed,
    onChange: (text: string) => {
      setTyped(text);
      tell(text);
    },
  };
};

interface TypedProps {
  label: string;
  placeholder: string;
  value: string;
  onChange: (value: string) => void;
  testId: string;
  /** Offered names. */
  names?: string[];
}

const Typed = ({ label, placeholder, testId, names, ...rest }: TypedProps) => {
  const { value, onChange } = useTyped(rest.value, rest.onChange);
  const common = {
    size: 'xs',
    placeholder,
    value,
    'aria-label': label,
    'data-testid': testId,
    w: 150,
  } as const;
  return names ? (
    <Autocomplete {...common} data={names} limit={20} onChange={onChange} />
  ) : (
    <TextInput {...common} maxLength={200} onChange={(event) => onChange(event.currentTarget.value)} />
  );
};

const different = (names: (string | null)[]): string[] => [
  ...new Set(names.filter((name): name is string => !!name)),
];

/** The bar. What is chosen stands in the address. */
export const EventTools = ({
  jobId,
  events,
  more,
}: {
  jobId: string;
  events: readonly JobEvent[];
  more: boolean;
}) => {
  const [search, setSearch] = useSearchParams();
  const set = (name: FilterName) => (value: string) =>
    setSearch((old) => withFilter(old, name, value.trim() === '' ? '' : value), { replace: true });
  const valueOf = (name: FilterName): string => search.get(name) ?? '';
  const { data } = useQuery(tasksQuery, { id: jobId, first: OFFERED });
  const tasks = data?.job?.taskSummaries.nodes ?? [];
  const task = valueOf('task');
  const byLink = UUID.test(task);
  const typed = (name: FilterName) => ({
    value: valueOf(name),
    onChange: set(name),
    testId: `events-${name}`,
  });
  return (
    <Group className="out-tools" gap="xs" role="toolbar" aria-label="Which events">
      <MultiSelect
        size="xs"
        aria-label="Results"
        placeholder={statusesIn(search).length > 0 ? '' : 'Any result'}
        data={statuses}
        value={statusesIn(search)}
        onChange={(chosen) => set('status')(chosen.join(','))}
        clearable
        w={190}
        data-testid="events-status"
      />
      <Select
        size="xs"
        aria-label="Kind"
        placeholder="Any kind"
        data={kinds}
        value={valueOf('kind') || null}
        onChange={(kind) => set('kind')(kind ?? '')}
        clearable
        searchable
        w={170}
        data-testid="events-kind"
      />
      <Typed label="Host" placeholder="Host, whole name" {...typed('host')} />
      <Typed
        label="Play"
        placeholder="Play"
        names={different(tasks.map(({ play }) => play))}
        {...typed('play')}
      />
      {byLink ? (
        <Button
          size="compact-xs"
          variant="light"
          rightSection={<X size={12} />}
          onClick={() => set('task')('')}
          data-testid="events-task"
        >
          {tasks.find(({ uuid }) => uuid === task)?.task ??
            events.find((event) => event.task)?.task ??
            'one task'}
        </Button>
      ) : (
        <Typed
          label="Task"
          placeholder="Task"
          names={different(tasks.map((each) => each.task))}
          {...typed('task')}
        />
      )}
      <Typed label="Text" placeholder="Text in the output" {...typed('text')} />
      <Chip
        size="xs"
        checked={valueOf('changed') === '1'}
        onChange={(on) => set('changed')(on ? '1' : '')}
        data-testid="events-changed"
      >
        Changes only
      </Chip>
      <Text fz="xs" c="dimmed" ml="auto" className="tabular" data-testid="events-count">
        {events.length.toLocaleString()}
        {more ? '+' : ''} events
      </Text>
    </Group>
  );
};

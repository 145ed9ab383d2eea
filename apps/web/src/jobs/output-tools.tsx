/** What stands above the output: search, failures, and how it is shown. */
import { ActionIcon, CloseButton, Group, Text, TextInput, Tooltip } from '@mantine/core';
import {
  ArrowDownToLine,
  ChevronDown,
  ChevronUp,
  CircleX,
  ListFilter,
  Search,
  WrapText,
  type LucideIcon,
} from 'lucide-react';
import { useState } from 'react';
import { DownloadMenu } from './download-menu.js';
import { isOver, type JobDetail } from './job.queries.js';
import { LiveMark } from './live-mark.js';
import type { OutputFeed } from './output-feed.js';
import { neighbour, type OutputSearch } from './output-search.js';

interface Props {
  feed: OutputFeed;
  job: JobDetail;
  query: string;
  onQuery: (query: string) => void;
  found: OutputSearch | null;
  onlyMatches: boolean;
  onOnlyMatches: (on: boolean) => void;
  wrap: boolean;
  onWrap: (on: boolean) => void;
  follow: boolean;
  onFollow: (on: boolean) => void;
  current: number | null;
  onGoTo: (line: number) => void;
}

/** The failure after (or before) a line, going round at the ends. */
const failureFrom = (lines: readonly number[], from: number | null, step: 1 | -1): number | null =>
  (from === null ? null : neighbour(lines, from, step)) ?? (step === 1 ? lines[0] : lines.at(-1)) ?? null;

const Step = ({
  label,
  icon: Icon,
  onClick,
  disabled,
}: {
  label: string;
  icon: LucideIcon;
  onClick: () => void;
  disabled?: boolean;
}) => (
  <Tooltip label={label}>
    <ActionIcon
      variant="subtle"
      color="gray"
      size="sm"
      aria-label={label}
      onClick={onClick}
      disabled={disabled}
    >
      <Icon size={15} />
    </ActionIcon>
  </Tooltip>
);

const Toggle = ({
  label,
  icon: Icon,
  on,
  onChange,
  testId,
}: {
  label: string;
  icon: LucideIcon;
  on: boolean;
  onChange: (on: boolean) => void;
  testId?: string;
}) => (
  <Tooltip label={label}>
    <ActionIcon
      variant={on ? 'light' : 'subtle'}
      color={on ? 'petrol' : 'gray'}
      aria-label={label}
      aria-pressed={on}
      onClick={() => onChange(!on)}
      data-testid={testId}
    >
      <Icon size={16} />
    </ActionIcon>
  </Tooltip>
);

/** How many matches, or that there are more; and which of them is the current one. */
const countOf = (found: OutputSearch, current: number | null): string => {
  if (found.failed) return 'The search failed';
  const { lines, searching, allKnown } = found;
  if (lines.length === 0) return searching ? 'Searching…' : 'No match';
  const at = current === null || !found.topReached ? -1 : lines.indexOf(current);
  const place = at >= 0 ? `${(at + 1).toLocaleString()} of ` : '';
  return `${place}${lines.length.toLocaleString()}${allKnown ? '' : '+'}${searching ? ' …' : ''}`;
};

/** Matches, and the way through them. */
const Found = ({
  found,
  current,
  onStep,
}: {
  found: OutputSearch;
  current: number | null;
  onStep: (by: 1 | -1) => void;
}) => {
  const none = found.lines.length === 0 && found.allKnown;
  return (
    <Group gap={2} wrap="nowrap">
      <Text fz="xs" c="dimmed" className="nowrap tabular" role="status" data-testid="search-count">
        {countOf(found, current)}
      </Text>
      <Step label="Previous match" icon={ChevronUp} onClick={() => onStep(-1)} disabled={none} />
      <Step label="Next match" icon={ChevronDown} onClick={() => onStep(1)} disabled={none} />
    </Group>
  );
};

/** The bar. */
export const OutputTools = (props: Props) => {
  const { feed, job, found, current, onGoTo } = props;
  const { store } = feed;
  const [focused, setFocused] = useState(false);
  const goTo = (line: number | null) => line !== null && onGoTo(line);
  const toFailure = (by: 1 | -1) => goTo(failureFrom(store.failures, current, by));
  const toMatch = (by: 1 | -1) =>
    // It says itself that it failed.
    void found?.step(current, by, store.totalLines).then(goTo, () => undefined);
  return (
    <div className="out-tools" role="toolbar" aria-label="Output tools">
      <TextInput
        className={`out-search ${focused ? 'has-focus' : ''}`}
        size="xs"
        aria-label="Search the output"
        placeholder="Search the output"
        leftSection={<Search size={14} />}
        rightSection={
          props.query ? (
            <CloseButton size="xs" aria-label="Clear the search" onClick={() => props.onQuery('')} />
          ) : null
        }
        value={props.query}
        maxLength={200}
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
        onChange={(event) => props.onQuery(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') toMatch(event.shiftKey ? -1 : 1);
          if (event.key === 'Escape') props.onQuery('');
        }}
        data-testid="output-search"
      />
      {found && (
        <>
          <Found found={found} current={current} onStep={toMatch} />
          <Toggle
            label="Only lines that match"
            icon={ListFilter}
            on={props.onlyMatches}
            onChange={props.onOnlyMatches}
            testId="only-matches"
          />
        </>
      )}
      {store.failures.length > 0 && (
        <Group gap={2} wrap="nowrap" className="out-failures">
          <CircleX size={14} aria-hidden="true" />
          <Text fz="xs" className="nowrap" data-testid="failure-count">
            {store.failures.length} failed
          </Text>
          <Step label="Previous failure" icon={ChevronUp} onClick={() => toFailure(-1)} />
          <Step label="Next failure" icon={ChevronDown} onClick={() => toFailure(1)} />
        </Group>
      )}
      <Group gap={6} wrap="nowrap" ml="auto">
        <Text fz="xs" c="dimmed" className="nowrap tabular" visibleFrom="xs">
          {store.totalLines.toLocaleString()} lines
        </Text>
        <LiveMark state={feed.state} />
        <DownloadMenu jobId={job.id} />
        <Toggle label="Wrap long lines" icon={WrapText} on={props.wrap} onChange={props.onWrap} />
        {!isOver(job.status) && (
          <Toggle
            label="Follow the output"
            icon={ArrowDownToLine}
            on={props.follow}
            onChange={props.onFollow}
            testId="follow"
          />
        )}
      </Group>
    </div>
  );
};

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
import type { SearchResult } from './use-output.js';

interface Props {
  feed: OutputFeed;
  job: JobDetail;
  query: string;
  onQuery: (query: string) => void;
  found: SearchResult | null;
  onlyMatches: boolean;
  onOnlyMatches: (on: boolean) => void;
  wrap: boolean;
  onWrap: (on: boolean) => void;
  follow: boolean;
  onFollow: (on: boolean) => void;
  current: number | null;
  onGoTo: (line: number) => void;
}

/** The line after (or before) `from` in an ascending list, going round at the ends. */
export const neighbour = (lines: readonly number[], from: number | null, step: 1 | -1): number | null => {
  if (lines.length === 0) return null;
  if (from === null) return step === 1 ? lines[0]! : lines.at(-1)!;
  const next = step === 1 ? lines.find((line) => line > from) : lines.findLast((line) => line < from);
  return next ?? (step === 1 ? lines[0]! : lines.at(-1)!);
};

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

/** Matches, and the way through them. */
const Found = ({
  found,
  total,
  current,
  onGoTo,
}: {
  found: SearchResult;
  total: number;
  current: number | null;
  onGoTo: (line: number) => void;
}) => {
  const go = (step: 1 | -1) => {
    const line = neighbour(found.lines, current, step);
    if (line !== null) onGoTo(line);
  };
  const at = current === null ? -1 : found.lines.indexOf(current);
  return (
    <Group gap={2} wrap="nowrap">
      <Text fz="xs" c="dimmed" className="nowrap tabular" role="status" data-testid="search-count">
        {at >= 0 ? `${(at + 1).toLocaleString()} of ` : ''}
        {found.lines.length.toLocaleString()}
        {found.full ? '+' : ''}
        {found.scanned < total && !found.full ? ' …' : ''}
      </Text>
      <Step label="Previous match" icon={ChevronUp} onClick={() => go(-1)} disabled={!found.lines.length} />
      <Step label="Next match" icon={ChevronDown} onClick={() => go(1)} disabled={!found.lines.length} />
    </Group>
  );
};

/** The bar. */
export const OutputTools = (props: Props) => {
  const { feed, job, found, current, onGoTo } = props;
  const { store } = feed;
  const [focused, setFocused] = useState(false);
  const step = (lines: readonly number[], by: 1 | -1) => {
    const line = neighbour(lines, current, by);
    if (line !== null) onGoTo(line);
  };
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
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
        onChange={(event) => props.onQuery(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && found) step(found.lines, event.shiftKey ? -1 : 1);
          if (event.key === 'Escape') props.onQuery('');
        }}
        data-testid="output-search"
      />
      {found && (
        <>
          <Found found={found} total={store.totalLines} current={current} onGoTo={onGoTo} />
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
          <Step label="Previous failure" icon={ChevronUp} onClick={() => step(store.failures, -1)} />
          <Step label="Next failure" icon={ChevronDown} onClick={() => step(store.failures, 1)} />
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

/** One event, whole. */
import { Badge, Code, Drawer, Group, Stack, Text } from '@mantine/core';
import { Link } from 'react-router';
import { useQuery } from '../api/use-query.js';
import { Facts, type Fact } from '../shell/facts.js';
import { tellInstant } from '../shell/format.js';
import { ProblemNote, TableSkeleton } from '../shell/states.js';
import { segmentsOf } from './ansi.js';
import { eventQuery } from './job.queries.js';

/** Shows the event with this counter; null shows nothing. */
export const EventDrawer = ({
  jobId,
  counter,
  onClose,
}: {
  jobId: string;
  counter: number | null;
  onClose: () => void;
}) => {
  const { data, problem, refresh } = useQuery(
    eventQuery,
    { id: jobId, after: (counter ?? 1) - 1 },
    { skip: counter === null },
  );
  const event = data?.job?.events.nodes[0];
  return (
    <Drawer
      opened={counter !== null}
      onClose={onClose}
      position="right"
      size="lg"
      title={`Event ${counter ?? ''}`}
      data-testid="event-drawer"
    >
      {problem !== undefined && <ProblemNote problem={problem} onRetry={refresh} />}
      {!event && problem === undefined && <TableSkeleton rows={4} />}
      {event && (
        <Stack gap="sm">
          <Group gap={6}>
            <Badge variant="light" tt="none">
              {event.event}
            </Badge>
            {event.failed && (
              <Badge color="red" variant="light" tt="none">
                failed
              </Badge>
            )}
            {event.changed && (
              <Badge color="yellow" variant="light" tt="none">
                changed
              </Badge>
            )}
          </Group>
          <Facts
            rows={(
              [
                ['When', event.created ? tellInstant(event.created) : null],
                ['Host', event.host],
                ['Play', event.play],
                ['Role', event.role],
                ['Task', event.task],
              ] satisfies Fact[]
            ).filter(([, value]) => value)}
          />
          {event.stdout && (
            <div>
              <Text fz="xs" c="dimmed" mb={4}>
                Printed,{' '}
                <Link to={`/jobs/${jobId}/output#L${event.startLine + 1}`}>
                  from line {event.startLine + 1}
                </Link>
              </Text>
              <pre className="out-piece">
                {event.stdout.split('\n').map((line, index) => (
                  <div key={index}>
                    {segmentsOf(line).map((segment, at) => (
                      <span key={at} className={segment.className || undefined}>
                        {segment.text}
                      </span>
                    ))}
                  </div>
                ))}
              </pre>
            </div>
          )}
          <div>
            <Text fz="xs" c="dimmed" mb={4}>
              Data
            </Text>
            <Code block className="json">
              {JSON.stringify(
                { uuid: event.uuid, parent_uuid: event.parentUuid, event_data: event.eventData },
                null,
                2,
              )}
            </Code>
          </div>
        </Stack>
      )}
    </Drawer>
  );
};

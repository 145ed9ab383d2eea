/** Running a job again: says what would be identical, changed or missing, then starts it and goes there. */
import { Alert, Anchor, Button, Checkbox, Group, Modal, SegmentedControl, Stack, Text, Textarea } from '@mantine/core'; // prettier-ignore
import { CircleAlert, RotateCw } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { request } from '../api/client.js';
import { newKey } from '../api/key.js';
import { useQuery } from '../api/use-query.js';
import { ProblemNote, TableSkeleton } from '../shell/states.js';
import { readVariables } from '../templates/prompts.js';
import type { JobDetail } from './job.queries.js';
import { RelaunchPlanList } from './relaunch-plan.js';
import { relaunchMutation, relaunchPlanQuery, type RelaunchMode, type RelaunchPlan, type RelaunchWish } from './relaunch.queries.js'; // prettier-ignore

const explained: Record<RelaunchMode, string> = {
  EXACT: 'On the same image digest, commit, inventory snapshot, variables and settings as this job.',
  CURRENT: 'With the template, project and inventory as they are now, and what was asked for at the launch.',
};

/** What was chosen; a plan is asked for again when it changes. */
const useWish = (jobId: string) => {
  const [mode, setMode] = useState<RelaunchMode>('EXACT');
  const [failedOnly, setFailedOnly] = useState(false);
  const [text, setText] = useState('');
  // What is being typed is not asked about: only what was left.
  const [variables, setVariables] = useState('');
  const read = readVariables(variables);
  const extraVars = 'value' in read && Object.keys(read.value).length > 0 ? read.value : undefined;
  const wish: RelaunchWish = {
    jobId,
    mode,
    hosts: failedOnly ? 'FAILED' : 'ALL',
    changes: extraVars ? { extraVars } : {},
  };
  const problem = 'problem' in read ? read.problem : null;
  const settled = text === variables && problem === null;
  return { wish, settled, problem, mode, setMode, failedOnly, setFailedOnly, text, setText, leave: () => setVariables(text) }; // prettier-ignore
};

type Wish = ReturnType<typeof useWish>;

const Choices = ({ choice }: { choice: Wish }) => (
  <>
    <div>
      <SegmentedControl
        fullWidth
        value={choice.mode}
        onChange={(value) => choice.setMode(value as RelaunchMode)}
        data={[
          { value: 'EXACT', label: 'Exactly as it was' },
          { value: 'CURRENT', label: 'As the template is now' },
        ]}
        aria-label="How"
      />
      <Text c="dimmed" fz="sm" mt={6}>
        {explained[choice.mode]}
      </Text>
    </div>
    <Checkbox
      label="Only on the hosts that failed or could not be reached"
      checked={choice.failedOnly}
      onChange={(event) => choice.setFailedOnly(event.currentTarget.checked)}
      data-testid="relaunch-failed"
    />
    <Textarea
      label="Other variables"
      description="YAML or JSON, over those of this job; only what the template asks for at launch."
      autosize
      minRows={1}
      maxRows={8}
      value={choice.text}
      error={choice.problem}
      onChange={(event) => choice.setText(event.currentTarget.value)}
      onBlur={choice.leave}
      styles={{ input: { fontFamily: 'monospace' } }}
    />
  </>
);

/** Asks for the start; what it is refused with is shown. */
const useStart = (onClose: () => void, onRefused: () => void) => {
  const navigate = useNavigate();
  // One key per dialog: pressing twice, or again after a broken connection, makes one job.
  const [key, setKey] = useState(newKey);
  const [asking, setAsking] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [problem, setProblem] = useState<unknown>();
  const start = async (wish: RelaunchWish, plan: RelaunchPlan, accept: boolean) => {
    setAsking(true);
    setRefusal(null);
    setProblem(undefined);
    try {
      const input = { ...wish, idempotencyKey: key, accept, planSha256: plan.sha256 };
      const { relaunchJob } = await request(relaunchMutation, { input });
      if (relaunchJob.__typename === 'LaunchedJob') {
        onClose();
        void navigate(`/jobs/${relaunchJob.job.id}`);
        return;
      }
      setRefusal(relaunchJob.message);
      setKey(newKey());
      onRefused();
    } catch (error) {
      setProblem(error);
    } finally {
      setAsking(false);
    }
  };
  return { start, asking, refusal, problem };
};

/** The dialog; there while it is wanted. `onLaunch`: rather launch the template with other prompts. */
export const RelaunchDialog = ({
  job,
  onClose,
  onLaunch,
}: {
  job: JobDetail;
  onClose: () => void;
  onLaunch?: () => void;
}) => {
  const choice = useWish(job.id);
  const [accepted, setAccepted] = useState<string | null>(null);
  const { data, problem, loading, refresh } = useQuery(relaunchPlanQuery, choice.wish, {
    skip: !choice.settled,
  });
  const { start, asking, refusal, problem: startProblem } = useStart(onClose, refresh);
  const answer = data?.relaunchPlan;
  const plan = answer?.__typename === 'RelaunchPlan' ? answer : null;
  // Accepted is a plan, not whatever comes after it.
  const accept = plan !== null && accepted === plan.sha256;
  const ready = choice.settled && plan?.possible === true && (!plan.needsAcceptance || accept);
  return (
    <Modal opened onClose={onClose} title={`Run “${job.name}” again`} size="lg">
      <Stack gap="md" data-testid="relaunch-dialog">
        <Choices choice={choice} />
        {problem !== undefined && !answer && <ProblemNote problem={problem} onRetry={refresh} />}
        {loading && <TableSkeleton rows={4} />}
        {answer?.__typename === 'RelaunchRefused' && (
          <Alert color="yellow" icon={<CircleAlert size={18} />} title="Not possible" role="alert">
            {answer.message}
          </Alert>
        )}
        {plan && <RelaunchPlanList items={plan.items} />}
        {plan && !plan.possible && (
          <Alert color="red" icon={<CircleAlert size={18} />} role="alert">
            Something is gone, so it cannot be run again exactly. It can be run as the template is now.
          </Alert>
        )}
        {plan?.possible && plan.needsAcceptance && (
          <Checkbox
            label="Start it although these differ"
            checked={accept}
            onChange={(event) => setAccepted(event.currentTarget.checked ? plan.sha256 : null)}
            data-testid="relaunch-accept"
          />
        )}
        {refusal && (
          <Alert color="yellow" icon={<CircleAlert size={18} />} title="Not launched" role="alert">
            {refusal}
          </Alert>
        )}
        {startProblem !== undefined && (
          <ProblemNote problem={startProblem} title="It is not known whether the job was launched" />
        )}
        <Group justify="space-between">
          {onLaunch ? (
            <Anchor component="button" type="button" fz="sm" onClick={onLaunch}>
              Launch the template with other answers…
            </Anchor>
          ) : (
            <span />
          )}
          <Group gap="xs">
            <Button variant="default" onClick={onClose}>
              Not now
            </Button>
            <Button
              leftSection={<RotateCw size={16} />}
              loading={asking}
              disabled={!ready}
              onClick={() => plan && void start(choice.wish, plan, accept)}
              data-testid="relaunch-confirm"
            >
              Run again
            </Button>
          </Group>
        </Group>
      </Stack>
    </Modal>
  );
};

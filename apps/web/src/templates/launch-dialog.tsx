/** Launching a template: asks for what the template asks for, then goes to the job. */
import { Alert, Button, Group, Modal, Stack, Text } from '@mantine/core';
import { CircleAlert, Rocket } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { request } from '../api/client.js';
import { newKey } from '../api/key.js';
import { useQuery } from '../api/use-query.js';
import { ProblemNote, TableSkeleton } from '../shell/states.js';
import { PromptFields } from './prompt-fields.js';
import { firstAnswers, launchInputOf, readVariables, type Answers } from './prompts.js';
import { launchMutation, templateQuery, type JobTemplate } from './template.queries.js';

/** Settings of an earlier job to begin with. */
export interface LaunchFrom {
  extraVars: unknown;
  limit: string;
}

const Form = ({
  template,
  from,
  onClose,
}: {
  template: JobTemplate;
  from?: LaunchFrom;
  onClose: () => void;
}) => {
  const navigate = useNavigate();
  // One key per dialog: pressing twice, or again after a broken connection, makes one job.
  const [key, setKey] = useState(newKey);
  const [answers, setAnswers] = useState<Answers>(() => firstAnswers(template, from));
  const [asking, setAsking] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [problem, setProblem] = useState<unknown>();
  const asksVariables = template.askOnLaunch.includes('VARIABLES');
  const read = asksVariables ? readVariables(answers.variables) : { value: {} };
  const variableProblem = 'problem' in read ? read.problem : null;
  const launch = async () => {
    setAsking(true);
    setRefusal(null);
    setProblem(undefined);
    try {
      const { launchJob } = await request(launchMutation, { input: launchInputOf(template, answers, key) });
      if (launchJob.__typename === 'LaunchedJob') {
        onClose();
        void navigate(`/jobs/${launchJob.job.id}`);
      } else {
        setRefusal(launchJob.message);
        setKey(newKey());
      }
    } catch (error) {
      setProblem(error);
    } finally {
      setAsking(false);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!variableProblem) void launch();
      }}
    >
      <Stack gap="md">
        <Text c="dimmed">
          Runs <b>{template.playbook}</b>
          {template.project && ` from ${template.project.name}`}
          {template.inventory &&
            !template.askOnLaunch.includes('INVENTORY') &&
            ` on the hosts of ${template.inventory.name}`}
          {template.executionEnvironment
            ? ` in ${template.executionEnvironment.name}`
            : ' in the default Execution Environment'}
          .
        </Text>
        <PromptFields
          template={template}
          answers={answers}
          problem={variableProblem}
          onChange={(change) => {
            setAnswers((old) => ({ ...old, ...change }));
            setKey(newKey());
          }}
        />
        {refusal && (
          <Alert color="yellow" icon={<CircleAlert size={18} />} title="Not launched" role="alert">
            {refusal}
          </Alert>
        )}
        {problem !== undefined && (
          <ProblemNote problem={problem} title="It is not known whether the job was launched" />
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Not now
          </Button>
          <Button
            type="submit"
            leftSection={<Rocket size={16} />}
            loading={asking}
            disabled={variableProblem !== null}
            data-testid="launch-confirm"
            data-autofocus
          >
            Launch
          </Button>
        </Group>
      </Stack>
    </form>
  );
};

/** The dialog; there while it is wanted. */
export const LaunchDialog = ({
  templateId,
  from,
  onClose,
}: {
  templateId: string;
  from?: LaunchFrom;
  onClose: () => void;
}) => {
  const { data, problem, refresh } = useQuery(templateQuery, { id: templateId });
  const template = data?.jobTemplate;
  return (
    <Modal opened onClose={onClose} title={template ? `Launch ${template.name}` : 'Launch'} size="lg">
      {problem !== undefined && !template && <ProblemNote problem={problem} onRetry={refresh} />}
      {!data && problem === undefined && <TableSkeleton rows={3} />}
      {data && !template && (
        <Text>This template does not exist any more. Choose another one under Templates.</Text>
      )}
      {template && (
        <Form key={`${template.id}.${template.version}`} template={template} from={from} onClose={onClose} />
      )}
    </Modal>
  );
};

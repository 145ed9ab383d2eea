/** Asks before a job is asked to end. */
import { Alert, Button, Checkbox, Group, Modal, Stack, Text } from '@mantine/core';
import { useState } from 'react';
import { request } from '../api/client.js';
import { ProblemNote } from '../shell/states.js';
import { cancelMutation, type JobDetail } from './job.queries.js';

/** The dialog. */
export const CancelDialog = ({
  job,
  opened,
  onClose,
}: {
  job: JobDetail;
  opened: boolean;
  onClose: () => void;
}) => {
  const [force, setForce] = useState(false);
  const [asking, setAsking] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const [problem, setProblem] = useState<unknown>();
  const cancel = async () => {
    setAsking(true);
    setRefusal(null);
    setProblem(undefined);
    try {
      const { cancelJob } = await request(cancelMutation, { id: job.id, force });
      if (cancelJob.__typename === 'CancelRefused') setRefusal(cancelJob.message);
      else onClose();
    } catch (error) {
      setProblem(error);
    } finally {
      setAsking(false);
    }
  };
  return (
    <Modal opened={opened} onClose={onClose} title={`Cancel “${job.name}”?`}>
      <Stack gap="md">
        <Text>
          {job.cancelRequested
            ? 'It has been asked to end already and is finishing its current step.'
            : 'The playbook is asked to stop. What it has already changed on the hosts stays changed.'}
        </Text>
        <Checkbox
          label="At once"
          description="Destroy the pod without waiting for the playbook. The record ends where it is."
          checked={force}
          onChange={(event) => setForce(event.currentTarget.checked)}
        />
        {refusal && (
          <Alert color="yellow" role="alert">
            {refusal}
          </Alert>
        )}
        {problem !== undefined && <ProblemNote problem={problem} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Let it run
          </Button>
          <Button color="red" onClick={() => void cancel()} loading={asking} data-testid="cancel-confirm">
            {force ? 'Destroy the pod' : 'Cancel the job'}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
};

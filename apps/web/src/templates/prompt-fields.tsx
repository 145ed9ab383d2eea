/** The fields of a launch, one per prompt of the template. */
import { Checkbox, MultiSelect, NumberInput, Select, Stack, Textarea, TextInput } from '@mantine/core';
import { useQuery } from '../api/use-query.js';
import type { Answers } from './prompts.js';
import { choicesQuery, type JobTemplate, type Prompt } from './template.queries.js';

interface Props {
  template: JobTemplate;
  answers: Answers;
  problem: string | null;
  onChange: (change: Partial<Answers>) => void;
}

const options = (nodes: { id: string; name: string }[] | undefined) =>
  (nodes ?? []).map(({ id, name }) => ({ value: id, label: name }));
const verbosities = ['0 (normal)', '1 (-v)', '2 (-vv)', '3 (-vvv)', '4 (-vvvv)', '5 (-vvvvv)'].map(
  (label, value) => ({ value: String(value), label }),
);

const Choices = ({ template, answers, onChange }: Props) => {
  const asks = (prompt: Prompt) => template.askOnLaunch.includes(prompt);
  const { data } = useQuery(choicesQuery, {});
  return (
    <>
      {asks('INVENTORY') && (
        <Select
          label="Inventory"
          data={options(data?.inventories.nodes)}
          value={answers.inventoryId}
          onChange={(inventoryId) => onChange({ inventoryId })}
          searchable
        />
      )}
      {asks('CREDENTIALS') && (
        <MultiSelect
          label="Credentials"
          data={options(data?.credentials.nodes)}
          value={answers.credentialIds}
          onChange={(credentialIds) => onChange({ credentialIds })}
          searchable
        />
      )}
      {asks('EXECUTION_ENVIRONMENT') && (
        <Select
          label="Execution Environment"
          placeholder="The default"
          data={options(data?.executionEnvironments.nodes)}
          value={answers.executionEnvironmentId}
          onChange={(executionEnvironmentId) => onChange({ executionEnvironmentId })}
          searchable
          clearable
        />
      )}
    </>
  );
};

/** The fields. */
export const PromptFields = (props: Props) => {
  const { template, answers, problem, onChange } = props;
  const asks = (prompt: Prompt) => template.askOnLaunch.includes(prompt);
  const text = (name: 'limit' | 'scmBranch' | 'jobTags' | 'skipTags', label: string, description: string) => (
    <TextInput
      label={label}
      description={description}
      value={answers[name]}
      onChange={(event) => onChange({ [name]: event.currentTarget.value })}
    />
  );
  const number = (name: 'forks' | 'timeoutSeconds', label: string, description: string) => (
    <NumberInput
      label={label}
      description={description}
      min={0}
      value={answers[name]}
      onChange={(value) => onChange({ [name]: String(value) })}
    />
  );
  return (
    <Stack gap="sm">
      {(asks('INVENTORY') || asks('CREDENTIALS') || asks('EXECUTION_ENVIRONMENT')) && <Choices {...props} />}
      {asks('VARIABLES') && (
        <Textarea
          label="Extra variables"
          description="YAML or JSON. They go before every other variable."
          placeholder="release: 1.4.2"
          value={answers.variables}
          onChange={(event) => onChange({ variables: event.currentTarget.value })}
          error={problem}
          autosize
          minRows={4}
          maxRows={14}
          spellCheck={false}
          classNames={{ input: 'mono-input' }}
          data-testid="launch-variables"
        />
      )}
      {asks('LIMIT') && text('limit', 'Limit', 'Only hosts that match, as in --limit. Empty: all.')}
      {asks('JOB_TYPE') && (
        <Select
          label="Mode"
          data={[
            { value: 'RUN', label: 'Run' },
            { value: 'CHECK', label: 'Check only' },
          ]}
          value={answers.jobType}
          onChange={(jobType) => onChange({ jobType: jobType ?? 'RUN' })}
          allowDeselect={false}
        />
      )}
      {asks('SCM_BRANCH') &&
        text('scmBranch', 'Branch', 'Branch, tag or commit of the project. Empty: the project’s own.')}
      {asks('TAGS') && text('jobTags', 'Tags', 'Only tasks with these tags, comma separated.')}
      {asks('SKIP_TAGS') &&
        text('skipTags', 'Skip tags', 'Leave out tasks with these tags, comma separated.')}
      {asks('VERBOSITY') && (
        <Select
          label="Verbosity"
          data={verbosities}
          value={answers.verbosity}
          onChange={(verbosity) => onChange({ verbosity: verbosity ?? '0' })}
          allowDeselect={false}
        />
      )}
      {asks('FORKS') && number('forks', 'Forks', 'Hosts at a time. 0: Ansible’s default.')}
      {asks('TIMEOUT') && number('timeoutSeconds', 'Time limit, seconds', '0: none.')}
      {asks('DIFF_MODE') && (
        <Checkbox
          label="Show differences"
          checked={answers.diffMode}
          onChange={(event) => onChange({ diffMode: event.currentTarget.checked })}
        />
      )}
    </Stack>
  );
};

/** Signing in with a token. */
import {
  Alert,
  Button,
  Center,
  Checkbox,
  Code,
  Group,
  Paper,
  PasswordInput,
  Stack,
  Text,
  Title,
} from '@mantine/core';
import { CircleAlert, KeyRound, LogIn } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import { ask } from '../api/client.js';
import { ApiProblem } from '../api/problem.js';
import { signIn, useSession } from '../api/session.js';
import { forgetAnswers } from '../api/use-query.js';
import { meQuery } from '../resources/resource.queries.js';
import { Mark } from './brand.js';
import { useTitle } from './use-title.js';

/** Asks the API who the token belongs to; only a good one is kept. */
export const LoginPage = () => {
  useTitle('Sign in');
  const { ended } = useSession();
  const [token, setToken] = useState('');
  const [keep, setKeep] = useState(false);
  const [asking, setAsking] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const given = token.trim();
    if (!given) return setRefusal('Paste your token first.');
    setAsking(true);
    setRefusal(null);
    try {
      await ask(given, meQuery, {});
      forgetAnswers();
      signIn(given, keep);
    } catch (error) {
      setRefusal(
        error instanceof ApiProblem
          ? error.message
          : 'The page failed while asking. Reload it and try again.',
      );
      setAsking(false);
    }
  };
  return (
    <Center mih="100dvh" p="md" className="login">
      <Paper
        withBorder
        radius="lg"
        p={{ base: 'lg', xs: 32 }}
        w="100%"
        maw={440}
        shadow="sm"
        component="main"
      >
        <form onSubmit={submit}>
          <Stack gap="md">
            <Group gap="sm">
              <Mark size={38} />
              <div>
                <Title order={1}>Gantry</Title>
                <Text c="dimmed">Ansible automation, every line accounted for</Text>
              </div>
            </Group>
            {ended && !refusal && (
              <Alert color="yellow" variant="light" icon={<CircleAlert size={18} />} role="status">
                {ended}
              </Alert>
            )}
            <PasswordInput
              data-testid="login-token"
              label="Token"
              description={
                <>
                  On the machine that runs Gantry, <Code>./gantry token</Code> prints the administrator’s.
                </>
              }
              placeholder="Paste it here"
              leftSection={<KeyRound size={16} />}
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              error={refusal}
              autoFocus
              autoComplete="current-password"
              spellCheck={false}
            />
            <Checkbox
              label="Keep me signed in"
              description="In this browser, until I sign out. Otherwise only in this tab."
              checked={keep}
              onChange={(event) => setKeep(event.currentTarget.checked)}
            />
            <Button
              type="submit"
              size="md"
              loading={asking}
              leftSection={<LogIn size={17} />}
              data-testid="login-submit"
            >
              Sign in
            </Button>
            <Text c="dimmed" fz="xs">
              No token of your own? An administrator issues one with the <Code>issueToken</Code> mutation of
              the API.
            </Text>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
};

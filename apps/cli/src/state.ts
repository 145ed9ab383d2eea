/** What runs, as the supervisor last wrote it, checked against what is really there. */
import { existsSync, readFileSync } from 'node:fs';
import { serviceNames } from '@gantry/contracts/command';
import { HOME, homePath, readJson, TOKEN_FILE } from './home.js';
import type { PartState } from './part.js';
import { healthUrl } from './services.part.js';
import type { Ports } from './ports.js';

/** What the supervisor writes to `run/state.json` at every change. */
export interface SupervisorState {
  pid: number;
  startedAt: string;
  ready: boolean;
  ports: Ports;
  parts: Record<string, { state: PartState; pid: number | null; restarts: number }>;
  separate: boolean;
}

export const STATE_FILE = homePath('run', 'state.json');

/** What /readyz of a service says. */
interface Readiness {
  degraded: boolean;
  /** `ok` or a sentence, by what was looked at. */
  checks: Record<string, string>;
}

/** What `gantry status --json` prints. */
export interface Status {
  running: boolean;
  home: string;
  graphql: string | null;
  graphqlWs: string | null;
  web: string | null;
  /** Where pods reach ingest. */
  pods: string | null;
  tokenFile: string;
  supervisor: { pid: number; startedAt: string } | null;
  parts: SupervisorState['parts'];
  services: Record<string, { state: string; pid: number | null; health: string; checks?: Readiness }>;
}

/** The supervisor's state, or null when no supervisor of ours lives. */
export const readState = (): SupervisorState | null => {
  const state = readJson<SupervisorState | null>(STATE_FILE, null);
  return state && isSupervisor(state.pid) ? state : null;
};

/** Is this process a supervisor of this installation? A recycled process id is not. */
const isSupervisor = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const commandLine = `/proc/${pid}/cmdline`;
  if (!existsSync('/proc/self/cmdline')) return true;
  return (
    existsSync(commandLine) &&
    /\bgantry\b|supervise|main\.js/.test(readFileSync(commandLine, 'utf8').replaceAll('\0', ' '))
  );
};

/** Asks every service how it is. */
export const readStatus = async (): Promise<Status> => {
  const state = readState();
  const base = state && `http://127.0.0.1:${state.ports['gateway']}`;
  const services: Status['services'] = {};
  await Promise.all(
    serviceNames.map(async (name) => {
      const part = state?.parts[state.separate ? name : 'services'];
      const health = state ? healthUrl(state.ports, name) : '';
      services[name] = { state: 'stopped', pid: part?.pid ?? null, health };
      if (!state) return;
      try {
        const answer = await fetch(`${health}/readyz`, { signal: AbortSignal.timeout(2_000) });
        const checks = (await answer.json()) as Readiness;
        services[name] = {
          ...services[name]!,
          state: answer.ok && !checks.degraded ? 'ready' : 'degraded',
          checks,
        };
      } catch {
        services[name]!.state = part?.state === 'running' ? 'not answering' : (part?.state ?? 'stopped');
      }
    }),
  );
  return {
    running: state !== null && state.ready,
    home: HOME,
    graphql: base && `${base}/graphql`,
    graphqlWs: base && `${base.replace('http', 'ws')}/graphql`,
    web: base && `${base}/`,
    pods: state && `http://127.0.0.1:${state.ports['pods']}`,
    tokenFile: TOKEN_FILE,
    supervisor: state && { pid: state.pid, startedAt: state.startedAt },
    parts: state?.parts ?? {},
    services: Object.fromEntries(serviceNames.map((name) => [name, services[name]!])),
  };
};

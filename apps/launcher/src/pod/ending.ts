/** Why a pod ended without a last word of its agent, as a sentence. Pure. */
import type { Reason } from '@gantry/contracts/job';
import type { PodState } from './driver.js';

const agentCodes: Record<number, [string, string]> = {
  64: ['agent_not_told', 'the agent was not told who it is'],
  70: ['agent_failed', 'the agent itself failed'],
  75: ['ingest_unreachable', 'the agent could not reach ingest for too long'],
  77: ['agent_refused', 'ingest refused the agent'],
};

/**
 * The reason for `error` when the record was not sealed by the agent. Exit codes of the agent: docs/PROTOCOL.md 1.5; others are
 * the engine's. `lastWords`: what the pod printed last, if anything.
 */
export const reasonOfEnd = (pod: PodState, limits: { memoryBytes: number }, lastWords: string): Reason => {
  const { code, what } = causeOf(pod, limits);
  const details = [pod.detail, lastWords].map((text) => text.trim()).filter((text) => text !== '');
  return { code, message: [`The pod ended without a final message: ${what}.`, ...details].join(' ') };
};

const causeOf = (pod: PodState, limits: { memoryBytes: number }): { code: string; what: string } => {
  const exit = pod.exitCode;
  const memory = `its memory limit is ${Math.round(limits.memoryBytes / 1024 / 1024)} MiB`;
  if (pod.outOfMemory) return { code: 'out_of_memory', what: `OOMKilled, exit code ${exit} (${memory})` };
  if (exit === 137)
    return {
      code: 'killed',
      what: `it was killed (exit code 137, SIGKILL), which is what running out of memory looks like (${memory})`,
    };
  if (exit === null) return { code: 'pod_ended', what: 'it does not run any more' };
  const known = agentCodes[exit];
  if (known) return { code: known[0], what: `${known[1]} (exit code ${exit})` };
  if (exit > 128 && exit < 165)
    return { code: 'killed', what: `it was ended by signal ${exit - 128} (exit code ${exit})` };
  return { code: 'pod_ended', what: `exit code ${exit}` };
};

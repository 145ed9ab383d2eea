/** What the launcher hears of a job's record and grant. Pure: an event becomes what is said to the job. */
import { credentialEvents } from '@gantry/contracts/credential';
import { parseEvent, type EventEnvelope } from '@gantry/contracts/envelope';
import { recordEvents } from '@gantry/contracts/record';
import type { JobCommand } from './domain/job.js';

const heard = {
  agentStarted: recordEvents.RecordAgentStarted,
  integrityAlarm: recordEvents.RecordIntegrityAlarm,
  sealed: recordEvents.RecordSealed,
  redeemed: credentialEvents.GrantRedeemed,
  refused: credentialEvents.GrantRedemptionRefused,
};

/** Types of the events that jobs want to hear of. */
export const heardTypes: string[] = Object.values(heard).map((spec) => spec.type);

/** null: nothing to be said. The job itself passes over what it knows. */
export const jobCommandFor = (envelope: EventEnvelope): { jobId: string; command: JobCommand } | null => {
  const event = parseEvent(heard, { type: envelope.type, version: envelope.version, data: envelope.data });
  if (!event) return null;
  const { jobId, epoch } = event.data;
  switch (event.type) {
    case 'record.agent_started':
      return { jobId, command: { kind: 'agent spoke', epoch, agent: event.data.agent } };
    case 'record.integrity_alarm': {
      const message = `ALARM: other bytes came for event ${event.data.firstCounter} of the record, which is committed. Nothing was overwritten.`;
      return { jobId, command: { kind: 'pod problem', epoch, reason: { code: 'integrity', message } } };
    }
    case 'record.sealed': {
      const { jobId: _, ...seal } = event.data;
      return { jobId, command: { kind: 'seal', seal } };
    }
    case 'grant.redeemed':
      return { jobId, command: { kind: 'credentials redeemed', epoch, thumbprint: event.data.thumbprint } };
    case 'grant.redemption_refused':
      return { jobId, command: { kind: 'credential alarm', epoch, reason: event.data.reason } };
  }
};

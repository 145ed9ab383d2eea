/** Every event and every command of the house: what consumers parse by, and what NATS permissions are made of. */
import { credentialCommands, credentialEvents } from './credential.js';
import { eeCommands, eeEvents } from './ee.js';
import type { EventOf, EventSpec } from './envelope.js';
import { identityCommands, identityEvents } from './identity.js';
import { imageCommands, imageEvents } from './image.js';
import { jobCommands, jobEvents } from './job.js';
import { proofCommands } from './proof.js';
import { pullCommands, pullEvents } from './pull.js';
import { recordCommands, recordEvents } from './record.js';
import { relaunchCommands } from './relaunch.js';
import { retentionCommands, retentionEvents } from './retention.js';
import { templateCommands, templateEvents } from './template.js';
import type { CommandSpec, ServiceName } from './command.js';

/** Event types by the service whose log holds them. */
export const eventsByService = {
  identity: identityEvents,
  templates: templateEvents,
  registry: { ...eeEvents, ...imageEvents },
  vault: credentialEvents,
  launcher: { ...jobEvents, ...pullEvents },
  ingest: { ...recordEvents, ...retentionEvents },
} as const satisfies Partial<Record<ServiceName, Record<string, EventSpec>>>;

/** Every event type. */
export const catalogue = {
  ...identityEvents,
  ...templateEvents,
  ...eeEvents,
  ...imageEvents,
  ...credentialEvents,
  ...jobEvents,
  ...pullEvents,
  ...recordEvents,
  ...retentionEvents,
};

/** Any event. */
export type AnyEvent = EventOf<(typeof catalogue)[keyof typeof catalogue]>;

/** Every command and query. */
export const commands: readonly CommandSpec[] = [
  ...identityCommands,
  ...templateCommands,
  ...eeCommands,
  ...imageCommands,
  ...credentialCommands,
  ...jobCommands,
  ...relaunchCommands,
  ...pullCommands,
  ...recordCommands,
  ...retentionCommands,
  ...proofCommands,
];

/**
 * The part of nats-server's configuration that says who may do what: one nkey user per service, its permissions made from
 * contracts (`permissionsOf`), JetStream on top. Verified on nats-server 2.10.27 by server-config.int.spec.ts.
 *
 * Not separated: a service that consumes events may, by JetStream's API, take messages from another service's consumer
 * (consumer names cannot be given by prefix in a permission). It may read only events of the nouns it is declared for.
 */
import type { ServiceName } from '@gantry/contracts/command';
import { OBJECT_BUCKET, eventConsumers, permissionsOf, streamNames } from '@gantry/contracts/subjects';
import { inboxPrefix } from './connect.js';

/**
 * A service; `administrator`, who makes the streams before the services start and may do everything in the account; or
 * `reader`: another system that reads job events and nothing else.
 */
export type NatsUser = ServiceName | 'administrator' | 'reader';

/** What a user may publish and subscribe to, JetStream's API included. */
export interface NatsPermissions {
  publish: string[];
  subscribe: string[];
}

const objectStream = `OBJ_${OBJECT_BUCKET}`;

/** Which services store objects, and which read them. */
const objectAccess: Partial<Record<ServiceName, 'read' | 'write'>> = {
  templates: 'write',
  ingest: 'read',
  launcher: 'read',
};

/** All permissions of a service. */
export const natsPermissions = (service: ServiceName): NatsPermissions => {
  const own = permissionsOf(service);
  return {
    publish: [
      ...own.publish,
      '$JS.API.INFO',
      ...[...Object.values(streamNames), objectStream].map((stream) => `$JS.API.STREAM.INFO.${stream}`),
      // What it published last: a relay looks whether the stream still has it.
      ...own.publish
        .filter((subject) => subject.startsWith('gantry.evt.'))
        .map((subject) => `$JS.API.DIRECT.GET.${streamNames.events}.${subject}`),
      ...consumerSubjects(eventConsumers[service] ?? []),
      ...objectSubjects(objectAccess[service]),
    ],
    subscribe: [...own.subscribe, `${inboxPrefix(service)}.>`],
  };
};

const consumerSubjects = (nouns: readonly string[]): string[] => {
  if (nouns.length === 0) return [];
  const stream = streamNames.events;
  return [
    ...nouns.map((noun) => `$JS.API.CONSUMER.CREATE.${stream}.*.gantry.evt.${noun}.>`),
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
    `$JS.ACK.${stream}.>`,
  ];
};

const objectSubjects = (access: 'read' | 'write' | undefined): string[] => {
  if (!access) return [];
  return [
    `$JS.API.DIRECT.GET.${objectStream}.>`,
    `$JS.API.STREAM.MSG.GET.${objectStream}`,
    `$JS.API.CONSUMER.CREATE.${objectStream}.>`,
    `$JS.API.CONSUMER.DELETE.${objectStream}.>`,
    `$JS.API.CONSUMER.INFO.${objectStream}.>`,
    `$JS.FC.${objectStream}.>`,
    ...(access === 'write' ? [`$O.${OBJECT_BUCKET}.>`, `$JS.API.STREAM.PURGE.${objectStream}`] : []),
  ];
};

/** What a system outside may do: durable consumers of the stream of job events, with the inbox prefix `_INBOX.reader`. */
const readerPermissions = (): NatsPermissions => {
  const stream = streamNames.jobEvents;
  return {
    publish: [
      '$JS.API.INFO',
      `$JS.API.STREAM.INFO.${stream}`,
      `$JS.API.CONSUMER.CREATE.${stream}.>`,
      `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.*`,
      `$JS.API.CONSUMER.INFO.${stream}.*`,
      `$JS.API.CONSUMER.DELETE.${stream}.*`,
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
      `$JS.ACK.${stream}.>`,
    ],
    subscribe: [`${inboxPrefix('reader')}.>`],
  };
};

/** Longer than any command may take: the right to answer ends then. */
const answerWithin = '10m';

/**
 * Text to put (or include) into nats-server's configuration. `users`: public nkeys (`U...`) by user; a user left out cannot
 * log in, and nobody can without a key. The account has JetStream; the server's own `jetstream {}` must be on.
 */
export const natsAccounts = (users: Partial<Record<NatsUser, string>>): string => {
  const entries = Object.entries(users).map(([user, key]) =>
    user === 'administrator'
      ? `      { nkey: ${key} }`
      : limitedUser(
          user,
          key,
          user === 'reader' ? readerPermissions() : natsPermissions(user as ServiceName),
        ),
  );
  return `accounts {
  GANTRY {
    jetstream: enabled
    users: [
${entries.join('\n')}
    ]
  }
  SYS {}
}
system_account: SYS
`;
};

const limitedUser = (user: string, key: string, { publish, subscribe }: NatsPermissions): string => {
  return `      # ${user}
      { nkey: ${key}, permissions: {
        publish: { allow: ${list(publish)} }
        subscribe: { allow: ${list(subscribe)} }
        allow_responses: { max: 1, expires: "${answerWithin}" }
      } }`;
};

const list = (subjects: readonly string[]): string =>
  `[${subjects.map((subject) => JSON.stringify(subject)).join(', ')}]`;

import { publishLive, subscribeWatched } from '@gantry/bus/live';
import { RedeemGrant } from '@gantry/contracts/credential';
import {
  ReadChunks,
  ReadJobForArchive,
  ReadRecordRow,
  ReadRecordStream,
  VerifyRecord,
} from '@gantry/contracts/proof';
import {
  CancelRecord,
  CloseRecord,
  GetMoment,
  ListHostSummaries,
  ListJobEvents,
  ListTaskSummaries,
  OpenRecord,
  ReadStdout,
  SearchOutput,
} from '@gantry/contracts/record';
import {
  DescribeRecords,
  DescribeStorage,
  ListRetentionRules,
  RemoveRetentionRule,
  SetRetentionRule,
} from '@gantry/contracts/retention';
import { systemContext } from '@gantry/service/context';
import type { ServiceKit } from '@gantry/service/kit';
import { KIT, ServiceModule } from '@gantry/service/module';
import { Module, type Type } from '@nestjs/common';
import { requireDurable } from './adapters/database.js';
import type { IngestConfig } from './config.js';
import { createIngest, type Ingest } from './ingest.js';
import { jobEventsFollower, runJobEvents } from './job-events.js';
import { listenSocket, listenTcp } from './pods.listen.js';
import type { Retention } from './retention.js';
import { retentionRuleProjection } from './retention.rules.js';

/** Looked after every hour, a day ahead. */
const PARTITION_MILLISECONDS = 3_600_000;

/** It ends with the service only. */
const PUBLISHER_MILLISECONDS = 1_000;

/** Ingest as a Nest module. */
export const ingestModule = (config: IngestConfig): Type => {
  @Module({
    imports: [ServiceModule.forRoot(config.base)],
    providers: [{ provide: 'Ingest', inject: [KIT], useFactory: (kit: ServiceKit) => bind(kit, config) }],
  })
  class IngestModule {}
  return IngestModule;
};

const bind = (kit: ServiceKit, config: IngestConfig): Ingest => {
  const log = kit.log!;
  const ingest = createIngest({
    pool: kit.pool,
    log,
    objects: kit.objects,
    redeem: (input, correlationId) => kit.call(RedeemGrant, input, systemContext(kit, { correlationId })),
    publishLive: (hint) => publishLive(kit.nats, hint),
    logger: kit.logger,
    retention: config.retention,
    launcher: (input) => kit.call(ReadJobForArchive, input, systemContext(kit)),
  });
  const { commands, queries, proof } = ingest;

  kit.handle(OpenRecord, async (input, context) => {
    await commands.open(input, context.meta());
    return {};
  });
  kit.handle(CancelRecord, async ({ jobId }) => {
    await commands.cancel(jobId);
    return {};
  });
  kit.handle(CloseRecord, async (input, context) => ({ seal: await commands.close(input, context.meta()) }));
  kit.handle(ListJobEvents, (input, { principal }) => queries.events(input, principal!));
  kit.handle(ReadStdout, (input, { principal }) => queries.stdout(input, principal!));
  kit.handle(SearchOutput, (input, { principal }) => queries.search(input, principal!));
  kit.handle(ListHostSummaries, (input, { principal }) => queries.hosts(input, principal!));
  kit.handle(ListTaskSummaries, (input, { principal }) => queries.tasks(input, principal!));
  kit.handle(GetMoment, (input, { principal }) => queries.moment(input, principal!));

  bindRetention(kit, ingest.retention, config.sweepSeconds * 1_000);

  kit.handle(ReadRecordRow, (input, { principal }) => proof.row(input, principal!));
  kit.handle(ReadChunks, (input, { principal }) => proof.chunks(input, principal!));
  kit.handle(ReadRecordStream, (input, { principal }) => proof.stream(input, principal!));
  kit.handle(VerifyRecord, (input, { principal }) => proof.verify(input, principal!));

  kit.onStart(async () => {
    await requireDurable(kit.pool, config.allowUnsafe);
    await ingest.retention.prepare();
  });
  // Apart from the above, which is tried again while Postgres is away: an address is taken once.
  kit.onStart(async () => {
    const port = await listenTcp(ingest.podServer(), config.podsHttp);
    if (config.podsSocket) await listenSocket(ingest.podServer(), config.podsSocket);
    kit.logger.info(
      { pods: `${config.podsHttp.host}:${port}`, socket: config.podsSocket ?? undefined },
      'pods may call',
    );
  });
  if (config.jobEvents ?? true) {
    const { pool, nats, logger } = kit;
    kit.every('job-events', PUBLISHER_MILLISECONDS, () =>
      runJobEvents({ pool, schema: log.schema, nats, logger }, kit.signal),
    );
    kit.follow('job-events', jobEventsFollower(pool, log.schema));
  }
  kit.ready('record', async () => ingest.ready());
  // Not only at the start: a failover may lead to a server that is set up otherwise.
  kit.ready('durable', () => requireDurable(kit.pool, config.allowUnsafe));
  kit.every('partitions', PARTITION_MILLISECONDS, () => ingest.retention.prepare());
  kit.onStop(subscribeWatched(kit.nats, ingest.watched));
  kit.onStop(() => ingest.stop());
  return ingest;
};

const bindRetention = (kit: ServiceKit, retention: Retention, sweepMilliseconds: number): void => {
  const { rules, queries } = retention;
  kit.project(retentionRuleProjection(kit.log!.schema));
  kit.handle(SetRetentionRule, (input, context) => rules.set(input, context.principal!, context.meta()));
  kit.handle(RemoveRetentionRule, async (input, context) => {
    await rules.remove(input, context.principal!, context.meta());
    return {};
  });
  kit.handle(ListRetentionRules, (input, { principal }) => rules.list(input, principal!));
  kit.handle(DescribeRecords, (input, { principal }) => queries.records(input, principal!));
  kit.handle(DescribeStorage, (_, { principal }) => queries.storage(principal!));
  kit.every('retention', sweepMilliseconds, async () => {
    await retention.sweep(systemContext(kit).meta(), kit.signal);
  });
};

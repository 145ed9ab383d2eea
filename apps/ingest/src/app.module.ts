import { publishLive } from '@gantry/bus/live';
import { RedeemGrant } from '@gantry/contracts/credential';
import {
  CancelRecord,
  CloseRecord,
  ListHostSummaries,
  ListJobEvents,
  OpenRecord,
  ReadStdout,
} from '@gantry/contracts/record';
import { systemContext } from '@gantry/service/context';
import type { ServiceKit } from '@gantry/service/kit';
import { KIT, ServiceModule } from '@gantry/service/module';
import { Module, type Type } from '@nestjs/common';
import { makePartitions, requireDurable } from './adapters/database.js';
import type { IngestConfig } from './config.js';
import { createIngest, type Ingest } from './ingest.js';
import { listenSocket, listenTcp } from './pods.listen.js';

/** Looked after every hour, a week ahead. */
const PARTITION_MILLISECONDS = 3_600_000;

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
  });
  const { commands, queries } = ingest;

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
  kit.handle(ListHostSummaries, (input, { principal }) => queries.hosts(input, principal!));

  const partitions = async (): Promise<void> => {
    const made = await makePartitions(kit.pool, log.schema);
    if (made > 0) kit.logger.info({ made }, 'partitions were made');
  };
  kit.onStart(async () => {
    await requireDurable(kit.pool, config.allowUnsafe);
    await partitions();
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
  kit.every('partitions', PARTITION_MILLISECONDS, partitions);
  kit.onStop(() => ingest.stop());
  return ingest;
};

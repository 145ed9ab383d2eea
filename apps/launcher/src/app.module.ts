import { Module, type DynamicModule } from '@nestjs/common';
import { isPlatformError } from '@gantry/contracts/errors';
import { CancelJob, GetJob, GetTimeline, LaunchJob, ListJobs } from '@gantry/contracts/job';
import { PlanRelaunch, RelaunchJob } from '@gantry/contracts/relaunch';
import { ReadJobForArchive, ReadJobStream, VerifyJobStream } from '@gantry/contracts/proof';
import { GetImagePull, PruneImages, PullExecutionEnvironment } from '@gantry/contracts/pull';
import { systemContext } from '@gantry/service/context';
import { KIT, type ServiceKit } from '@gantry/service/kit';
import { ServiceModule } from '@gantry/service/module';
import { createContainerDriver } from './adapters/container-engine.js';
import { createJobLocks } from './adapters/job-locks.js';
import { createSeal } from './adapters/seal.js';
import type { LauncherConfig } from './config.js';
import { getPull, prune, pruneImages, pullImage } from './image.commands.js';
import { createImageQueries, engineImageProjection, pullProjection } from './image.projection.js';
import { createPulls } from './image.pulls.js';
import {
  cancelJob,
  getJob,
  getTimeline,
  launchJob,
  listJobs,
  readJobForArchive,
  readJobStream,
  verifyJobStream,
} from './job.commands.js';
import { createInspections, inspectionTypes } from './image.inspection.js';
import { createDriver } from './job.driver.js';
import { createJobQueries, JobEntity, jobProjection } from './job.projection.js';
import { heardTypes, jobCommandFor } from './job.reactions.js';
import { createJobs } from './job.stream.js';
import type { PodDriver } from './pod/driver.js';
import { planRelaunch, relaunchJob } from './relaunch.commands.js';

const LAUNCHER = Symbol('Launcher');
const sweepMilliseconds = 1_000;
const podSweepMilliseconds = 15_000;
const pruneMilliseconds = 3_600_000;

const wire = async (kit: ServiceKit, config: LauncherConfig, pods: PodDriver): Promise<void> => {
  const jobs = createJobs(kit.log!, kit.pool, config);
  const queries = createJobQueries(await kit.dataSource([JobEntity]), kit.log!);
  const seal = createSeal(config.podTokenKey);
  const { rows } = await kit.pool.query<{ id: string }>('select id::text as id from launcher.installation');
  const podSettings = {
    installationId: rows[0]!.id,
    podsUrl: config.podsUrl,
    network: config.podNetwork,
    limits: config.podLimits,
    agentSource: config.agentSource,
  };
  const locks = createJobLocks(config.base.postgresUrl!, (error) => {
    kit.logger.warn({ err: error }, 'the connection that holds the locks on jobs broke: taking them again');
    driver.dropAll();
    pulls.dropAll();
  });
  const inspections = createInspections({
    kit,
    pods,
    settings: { installationId: podSettings.installationId, inspectorSource: config.inspectorSource },
  });
  const { podTokenKey, pullSettings } = config;
  const noteImage = inspections.noteOnEngine;
  const driver = createDriver(
    { kit, jobs, pods, podSettings, pullSettings, podTokenKey, seal, noteImage },
    locks,
  );
  const images = createImageQueries(kit.pool);
  const pullParts = { kit, log: kit.log!, pool: kit.pool, pods, pullSettings, images, noteImage };
  const pulls = createPulls(pullParts, locks);

  kit.project(jobProjection);
  kit.project(pullProjection);
  kit.project(engineImageProjection);
  const parts = { kit, jobs, queries, seal, pods, wake: driver.wake };
  kit.handle(LaunchJob, (input, context) => launchJob(parts, input, context));
  kit.handle(PlanRelaunch, (input, context) => planRelaunch(parts, input, context));
  kit.handle(RelaunchJob, (input, context) => relaunchJob(parts, input, context));
  kit.handle(CancelJob, (input, context) => cancelJob(parts, input, context));
  kit.handle(GetJob, (input, context) => getJob(parts, input, context));
  kit.handle(ListJobs, (input, context) => listJobs(parts, input, context));
  kit.handle(GetTimeline, (input, context) => getTimeline(parts, input, context));
  kit.handle(ReadJobStream, (input, context) => readJobStream(parts, input, context));
  kit.handle(ReadJobForArchive, (input) => readJobForArchive(parts, input));
  kit.handle(VerifyJobStream, (input, context) => verifyJobStream(parts, input, context));
  const imageParts = { ...pullParts, pulls };
  kit.handle(PullExecutionEnvironment, (input, context) => pullImage(imageParts, input, context));
  kit.handle(GetImagePull, (input, context) => getPull(imageParts, input, context));
  kit.handle(PruneImages, (input, context) => pruneImages(imageParts, input, context));
  kit.react({
    purpose: 'job-news',
    types: heardTypes,
    handle: async (envelope, context) => {
      const said = jobCommandFor(envelope);
      if (!said) return;
      await jobs.tell(said.jobId, [said.command], context.meta()).catch((error: unknown) => {
        // A record or grant of a job that is not ours to know.
        if (!isPlatformError(error) || error.code !== 'not_found') throw error;
      });
      driver.wake(said.jobId);
    },
  });
  kit.react({ purpose: 'inspections', types: inspectionTypes, handle: inspections.handle });
  kit.every('sweep-jobs', sweepMilliseconds, driver.sweep);
  kit.every('sweep-pods', podSweepMilliseconds, driver.sweepPods);
  kit.every('sweep-inspections', podSweepMilliseconds, inspections.sweep);
  kit.every('sweep-pulls', podSweepMilliseconds, pulls.sweep);
  const { imageKeepDays: keepDays } = config;
  if (keepDays > 0) {
    kit.every('prune-images', pruneMilliseconds, async () => {
      await prune(pullParts, { keepDays, dryRun: false, by: null }, systemContext(kit));
    });
  }
  kit.onStop(async () => {
    await Promise.all([driver.stop(), pulls.stop()]);
    await locks.close();
  });
};

@Module({})
class LauncherModule {}

/** The launcher as a Nest module. `pods`: another driver than the container engine's (tests). */
export const launcherModule = (
  config: LauncherConfig,
  pods: PodDriver = createContainerDriver(config.containerHost),
): DynamicModule => ({
  module: LauncherModule,
  imports: [ServiceModule.forRoot(config.base)],
  providers: [{ provide: LAUNCHER, inject: [KIT], useFactory: (kit: ServiceKit) => wire(kit, config, pods) }],
});

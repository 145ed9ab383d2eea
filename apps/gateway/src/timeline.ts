/** The events of a job's life, told to people in one line each. */
import { jobEvents, type Job, type JobRequested, type TimelineEntry } from '@gantry/contracts/job';
import { parseEvent, type EventOf } from '@gantry/contracts/envelope';

type PinnedImage = NonNullable<Job['pinned']>['image'];

const short = (hash: string) => hash.replace(/^sha256:/, '').slice(0, 12);
const seconds = (milliseconds: number) => `${(milliseconds / 1_000).toFixed(1)} s`;
const megabytes = (bytes: number) => `${(bytes / 1_000_000).toFixed(1)} MB`;
const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;

const requested = ({
  snapshot,
  launchedBy,
  relaunchOf,
  limitHosts,
}: EventOf<typeof JobRequested>['data']): string => {
  const where = limitHosts ? ` on ${plural(limitHosts.length, 'host')} by name` : '';
  if (!relaunchOf)
    return `Launched from ${snapshot.name} (version ${snapshot.jobTemplateVersion}) by ${launchedBy.username}${where}`;
  const how = relaunchOf.mode === 'exact' ? 'Exactly' : `As ${snapshot.name} is now`;
  return `${how} job ${relaunchOf.jobId} again, by ${launchedBy.username}${where}`;
};

/** What the image of a job is, and what is odd about it. */
const meaningOf = ({ digest, resolution, previousDigest }: PinnedImage): string => {
  const odd = [
    ...(resolution === 'known' ? ['the last known one: its registry is away'] : []),
    ...(previousDigest ? [`its tag has moved: the job before had ${short(previousDigest)}`] : []),
  ];
  return `${digest ? ` at ${short(digest)}` : ''}${odd.length > 0 ? ` (${odd.join('; ')})` : ''}`;
};

/** One line about an entry; an event that this build does not know is told by its name. */
export const summaryOf = (entry: Pick<TimelineEntry, 'type' | 'data'>): string => {
  const event = parseEvent(jobEvents, { type: entry.type, version: 1, data: entry.data });
  if (!event) return entry.type;
  switch (event.type) {
    case 'job.requested':
      return requested(event.data);
    case 'job.pinned':
      return `Pinned: image ${event.data.image.image}${meaningOf(event.data.image)}, project at ${short(event.data.project.commit)}, inventory of ${plural(event.data.inventory.totalHosts, 'host')}`;
    case 'job.queued':
      return `Waits: ${event.data.reason.message}`;
    case 'job.dispatched':
      return `Its turn has come (attempt ${event.data.epoch}, instance group ${event.data.instanceGroup})`;
    case 'job.image_pull_started':
      return `Pulling ${event.data.image}`;
    case 'job.image_pull_progressed': {
      const { layers, layersDone, bytes, bytesTotal } = event.data.progress;
      const size =
        bytes === null
          ? ''
          : `, ${megabytes(bytes)}${bytesTotal === null ? '' : ` of ${megabytes(bytesTotal)}`}`;
      return `Pulling ${event.data.image}: ${layersDone} of ${plural(layers, 'layer')}${size}`;
    }
    case 'job.image_pull_retried':
      return `Pulling again in ${seconds(event.data.pauseMilliseconds)} (attempt ${event.data.attempt} failed): ${event.data.reason.message}`;
    case 'job.image_pulled':
      return `Pulled ${event.data.image} (${short(event.data.digest)}) in ${seconds(event.data.durationMilliseconds)}`;
    case 'job.image_cached':
      return `Image ${event.data.image} is there (${short(event.data.digest)})${event.data.note ? `. ${event.data.note}` : ''}`;
    case 'job.pod_created':
      return `Pod ${event.data.pod} made`;
    case 'job.pod_started':
      return `Agent ${event.data.agent.version} speaks from the pod (ansible-core ${event.data.agent.ansibleCore ?? 'unknown'})`;
    case 'job.credentials_redeemed':
      return 'Credentials handed to the pod, once, sealed to its key';
    case 'job.credential_alarm':
      return `ALARM: somebody else tried to get this job's credentials (${event.data.reason})`;
    case 'job.pod_problem':
      return event.data.reason.message;
    case 'job.cancel_requested':
      return `${event.data.by.username} asked it to end${event.data.force ? ' at once' : ''}`;
    case 'job.record_sealed':
      return `Record sealed: ${plural(event.data.lastCounter, 'event')}, ${plural(event.data.lastLine, 'line')}, ${short(event.data.sha256)}`;
    case 'job.pod_destroyed':
      return `Pod ${event.data.pod} destroyed`;
    case 'job.finished':
      return `Finished: ${event.data.status} after ${seconds(event.data.durationMilliseconds)}${event.data.reason ? `. ${event.data.reason.message}` : ''}`;
  }
};

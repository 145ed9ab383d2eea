/** What ansible-playbook is told: arguments, environment and variables, from a job's snapshot and pins. Never a secret. */
import type { Payload } from '@gantry/contracts/record';
import type { JobPinned, JobRequested } from '@gantry/contracts/job';
import type { EventOf } from '@gantry/contracts/envelope';
import type { LaunchSnapshot } from '@gantry/contracts/template';

/**
 * Arguments for ansible-playbook. Name and value are one argument (`--limit=-web`), so that no value can be taken for an option.
 */
export const playbookArguments = (snapshot: LaunchSnapshot, limitHosts?: string[] | null): string[] => {
  const given: (string | false)[] = [
    // Named hosts go in a file of the pod's instead: there may be too many for an argument.
    snapshot.limit !== '' && !limitHosts && `--limit=${snapshot.limit}`,
    snapshot.forks > 0 && `--forks=${snapshot.forks}`,
    snapshot.jobTags !== '' && `--tags=${snapshot.jobTags}`,
    snapshot.skipTags !== '' && `--skip-tags=${snapshot.skipTags}`,
    snapshot.verbosity > 0 && `-${'v'.repeat(snapshot.verbosity)}`,
    snapshot.jobType === 'check' && '--check',
    snapshot.diffMode && '--diff',
    snapshot.becomeEnabled && '--become',
  ];
  return given.filter((argument) => argument !== false);
};

/** Variables that AWX gives every job, under both of its prefixes. Source: AWX 24.6.1, models/jobs.py and mixins.py, `awx_meta_vars`. */
export const magicVariables = (
  requested: EventOf<typeof JobRequested>['data'],
  pinned: EventOf<typeof JobPinned>['data'],
): Record<string, unknown> => {
  const { snapshot, launchedBy } = requested;
  const values: Record<string, unknown> = {
    job_id: requested.jobId,
    job_launch_type: requested.launchType,
    job_template_id: snapshot.jobTemplateId,
    job_template_name: snapshot.name,
    user_id: launchedBy.userId,
    user_name: launchedBy.username,
    inventory_id: snapshot.inventoryId,
    inventory_name: snapshot.inventoryName,
    project_revision: pinned.project.commit,
    project_scm_branch: pinned.project.branch,
  };
  return Object.fromEntries(
    ['awx', 'tower'].flatMap((prefix) =>
      Object.entries(values).map(([name, value]) => [`${prefix}_${name}`, value]),
    ),
  );
};

/** All that the pod is to run. A variable of the template's or launch's own wins over a magic one, as in AWX. */
export const payloadOf = (
  requested: EventOf<typeof JobRequested>['data'],
  pinned: EventOf<typeof JobPinned>['data'],
): Payload => ({
  project: pinned.project.archive,
  inventory: pinned.inventory.object,
  playbook: requested.snapshot.playbook,
  arguments: playbookArguments(requested.snapshot, requested.limitHosts),
  ...(requested.limitHosts ? { limitHosts: requested.limitHosts } : {}),
  // Not AWX's JOB_ID and INVENTORY_ID: ansible-runner's display callback reads them as integers, and ours are UUIDs.
  environment: { PROJECT_REVISION: pinned.project.commit },
  extraVars: { ...magicVariables(requested, pinned), ...requested.snapshot.extraVars },
  timeoutSeconds: requested.snapshot.timeoutSeconds,
});

/** Who may say what on NATS, derived from the commands' own lists of callers. */
import { commands } from '@gantry/contracts/catalogue';
import { serviceNames } from '@gantry/contracts/command';
import { commandSubject, eventSubject, permissionsOf } from '@gantry/contracts/subjects';
import { describe, expect, it } from 'vitest';

describe('NATS permissions', () => {
  it('let only ingest redeem a credential grant', () => {
    const may = serviceNames.filter((service) =>
      permissionsOf(service).publish.includes('gantry.cmd.vault.grant.redeem'),
    );
    expect(may).toEqual(['ingest']);
  });

  it('let nobody publish the events of another service', () => {
    const claims = serviceNames.flatMap((service) =>
      permissionsOf(service).publish.filter((subject) => subject.startsWith('gantry.evt.')),
    );
    expect(new Set(claims).size).toBe(claims.length);
  });

  it('let a service answer its own commands only', () => {
    for (const service of serviceNames) {
      expect(permissionsOf(service).subscribe.filter((subject) => subject.startsWith('gantry.cmd.'))).toEqual(
        [`gantry.cmd.${service}.>`],
      );
    }
  });

  it('stand on subjects that NATS takes', () => {
    for (const command of commands)
      expect(commandSubject(command)).toMatch(/^gantry\.cmd\.[a-z]+\.[a-z_]+\.[a-z_]+$/);
    expect(eventSubject('job.finished', 'job-0198f000-0000-7000-8000-000000000001')).toBe(
      'gantry.evt.job.finished.0198f000-0000-7000-8000-000000000001',
    );
  });
});

import { serviceNames } from '@gantry/contracts/command';
import { describe, expect, it } from 'vitest';
import { natsAccounts, natsPermissions } from './server-config.js';

describe('the permissions of a service', () => {
  it.each(serviceNames)('of %s never are everything', (service) => {
    const { publish, subscribe } = natsPermissions(service);
    for (const subject of [...publish, ...subscribe]) {
      expect(subject).not.toMatch(/^(>|\*|gantry\.>|gantry\.(evt|cmd)\.>|\$JS\.>|\$JS\.API\.>|_INBOX\.>)/);
    }
  });

  it('let nobody but its callers call the vault', () => {
    const callers = serviceNames.filter((service) =>
      natsPermissions(service).publish.includes('gantry.cmd.vault.grant.redeem'),
    );
    expect(callers).toEqual(['ingest']);
  });
});

describe('the server’s configuration', () => {
  it('has a user for each key given and none besides', () => {
    const text = natsAccounts({ vault: 'UVAULT', administrator: 'UADMIN' });
    expect(text.match(/nkey: \w+/g)).toEqual(['nkey: UVAULT', 'nkey: UADMIN']);
  });
});

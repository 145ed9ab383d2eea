/** May a job hold these credentials together, and may this person give them to it? */
import { can, type Principal } from '@gantry/contracts/access';
import type { Credential } from '@gantry/contracts/credential';
import { PlatformError } from '@gantry/contracts/errors';
import { findType } from './credential-type.js';

/**
 * Checks the credentials of one job. Those in `prompted` were chosen by the launching person, who needs `use` on them; the
 * others come with the template, whose `execute` covers them. Throws `not_found` for a prompted one that the person may
 * not even see, `forbidden` for one they may not use, `refused` (reason `credential_kind`, `credential_type_twice`,
 * `vault_id_twice`) for a set that no job can hold.
 */
export const checkPins = (
  credentials: readonly Credential[],
  prompted: ReadonlySet<string>,
  principal: Principal,
): void => {
  for (const credential of credentials) {
    if (!prompted.has(credential.id)) continue;
    if (!can(principal, 'read', credential.organizationId)) throw noSuchCredential(credential.id);
    if (!can(principal, 'use', credential.organizationId)) {
      throw new PlatformError(
        'forbidden',
        `${principal.username} may not use the credential ${credential.name}: ask an administrator of its organization for the role.`,
        {
          details: { action: 'use', id: credential.id },
        },
      );
    }
  }
  const taken = new Map<string, Credential>();
  for (const credential of credentials) {
    const definition = findType(credential.credentialType);
    if (!definition?.forJobs) {
      throw refused(
        'credential_kind',
        `The credential ${credential.name} (${definition?.type.name ?? credential.credentialType}) is not for jobs: leave it out.`,
      );
    }
    const distinct = definition.distinctBy ? String(credential.inputs[definition.distinctBy] ?? '') : '';
    const place = JSON.stringify([credential.credentialType, distinct]);
    const other = taken.get(place);
    if (other) {
      throw definition.distinctBy
        ? refused(
            'vault_id_twice',
            `${other.name} and ${credential.name} have the same ${definition.distinctBy}: a job holds one of them.`,
          )
        : refused(
            'credential_type_twice',
            `${other.name} and ${credential.name} are both ${definition.type.name} credentials: a job holds one.`,
          );
    }
    taken.set(place, credential);
  }
};

/** `not_found`, for one that is not there or not theirs to see. */
export const noSuchCredential = (id: string): PlatformError =>
  new PlatformError('not_found', `There is no credential ${id}, or it is not yours to see.`, {
    details: { id },
  });

const refused = (reason: string, message: string): PlatformError =>
  new PlatformError('refused', message, { details: { reason } });

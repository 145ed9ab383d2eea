/** What Gantry itself logs in to an image's registry with: handed to the service that asks, sealed to its key. */
import type { OutputOf, ReceivedBy } from '@gantry/contracts/command';
import type { RegistryLogin } from '@gantry/contracts/credential';
import { PlatformError } from '@gantry/contracts/errors';
import type { CallContext } from '@gantry/service/context';
import { readSealingKey } from './adapters/sealing-key.js';
import { openCredential, readPinned } from './credential.commands.js';
import { noSuchCredential } from './domain/pinning.js';
import { registryHost } from './domain/registry-host.js';
import type { Vault } from './vault.js';

/** The newest version of the credential: who replaces a password wants it used. */
export const registryLogin = async (
  vault: Vault,
  { credentialId, organizationId, host, publicKey }: ReceivedBy<typeof RegistryLogin>,
  context: CallContext,
): Promise<OutputOf<typeof RegistryLogin>> => {
  const key = await readSealingKey(publicKey);
  const id = credentialId.toLowerCase();
  const credential = await readPinned(vault, id, 'newest');
  const { name, credentialType, inputs } = credential;
  // Of another organization's credential not even the name is told.
  if (organizationId !== null && credential.organizationId !== organizationId) throw noSuchCredential(id);
  if (credentialType !== 'registry') {
    throw refused(
      'credential_kind',
      `The credential ${name} is not for container registries (its type is ${credentialType}): give the execution environment one that is.`,
    );
  }
  const itsHost = String(inputs['host'] ?? '');
  if (registryHost(itsHost) !== registryHost(host)) {
    throw refused(
      'registry_host',
      `The credential ${name} is for the registry ${itsHost}, and is not sent to ${host}: give the execution environment a credential of that registry.`,
    );
  }
  const { plain, secret } = await openCredential(vault, credential);
  const plaintext = Buffer.from(JSON.stringify({ password: secret['password']?.reveal() ?? '' }), 'utf8');
  try {
    const sealed = await key.seal(plaintext);
    context.logger.info({ credentialId: id, host, for: context.actor.id }, 'a registry login was handed out');
    return { username: String(plain['username'] ?? ''), verifySsl: plain['verify_ssl'] !== false, sealed };
  } finally {
    plaintext.fill(0);
  }
};

const refused = (reason: string, message: string): PlatformError =>
  new PlatformError('refused', message, { details: { reason } });

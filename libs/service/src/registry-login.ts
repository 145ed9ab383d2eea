/** A login for an image's registry, asked of the vault: its password comes sealed to a key that lives for this one question. */
import type { InputOf } from '@gantry/contracts/command';
import { RegistryLogin } from '@gantry/contracts/credential';
import { PlatformError } from '@gantry/contracts/errors';
import { compactDecrypt, exportJWK, generateKeyPair } from 'jose';
import type { Call, CallerContext } from './command-client.js';

/** What a registry is asked with. The password is for the one request at hand: never kept, never logged. */
export interface OpenRegistryLogin {
  /** Empty: asked without a login. */
  username: string;
  password: string;
  /** False: the credential says that the registry's certificate is not to be checked. */
  verifySsl: boolean;
}

/** Throws what the vault says (`RegistryLogin`); `unavailable` when it does not answer. */
export const askRegistryLogin = async (
  call: Call,
  question: Omit<InputOf<typeof RegistryLogin>, 'publicKey'>,
  context: CallerContext = {},
): Promise<OpenRegistryLogin> => {
  const { publicKey, privateKey } = await generateKeyPair('ECDH-ES', { crv: 'P-256' });
  const { username, verifySsl, sealed } = await call(
    RegistryLogin,
    { ...question, publicKey: { ...(await exportJWK(publicKey)) } },
    context,
  );
  const { plaintext } = await compactDecrypt(sealed, privateKey).catch((cause: unknown) => {
    throw new PlatformError('defect', "The vault's answer is not sealed to the key it was given.", { cause });
  });
  const { password } = JSON.parse(new TextDecoder().decode(plaintext)) as { password: string };
  plaintext.fill(0);
  return { username, password, verifySsl };
};

/** What a pod gets of its credentials: `Credentials` of docs/PROTOCOL.md 1.2, made from the table of credential types. */
import type { TypeDefinition } from './domain/credential-type.js';
import { SHORTEST_SECRET } from './domain/inputs.js';
import type { Secret } from './secret.js';

/** A credential with its secrets open. */
export interface OpenCredential {
  name: string;
  definition: TypeDefinition;
  plain: Record<string, unknown>;
  secret: Record<string, Secret>;
}

/** The plaintext of the JWE. Never logged, never stored. */
export interface Credentials {
  environment: Record<string, string>;
  files: { name: string; content: string; environment: string | null }[];
  sshKeys: { name: string; privateKey: string; passphrase: string | null; certificate: string | null }[];
  passwords: {
    connection: string | null;
    become: string | null;
    vault: { id: string | null; password: string }[];
  };
  arguments: string[];
  extraVars: Record<string, string>;
  mask: string[];
}

/** Puts the credentials of one job together, in their order. */
export const injectCredentials = (credentials: readonly OpenCredential[]): Credentials => {
  const result: Credentials = {
    environment: {},
    files: [],
    sshKeys: [],
    passwords: { connection: null, become: null, vault: [] },
    arguments: [],
    extraVars: {},
    mask: [],
  };
  const mask = new Set<string>();
  for (const credential of credentials) {
    injectOne(result, credential);
    for (const secret of Object.values(credential.secret))
      for (const text of masksOf(secret.reveal())) mask.add(text);
  }
  // Longest first: whoever masks one after the other must not leave the rest of a longer one standing.
  result.mask = [...mask].sort((a, b) => b.length - a.length);
  return result;
};

const injectOne = (
  result: Credentials,
  { name, definition: { inject }, plain, secret }: OpenCredential,
): void => {
  const value = (field: string | undefined): string | null => {
    if (field === undefined) return null;
    if (secret[field]) return secret[field].reveal();
    return plain[field] === undefined ? null : String(plain[field]);
  };
  for (const [flag, field] of Object.entries(inject.arguments ?? {})) {
    const text = value(field);
    if (text !== null) result.arguments.push(flag, text);
  }
  result.passwords.connection ??= value(inject.passwords?.connection);
  result.passwords.become ??= value(inject.passwords?.become);
  if (inject.vaultPassword) {
    const password = value(inject.vaultPassword.password);
    if (password !== null) result.passwords.vault.push({ id: value(inject.vaultPassword.id), password });
  }
  const privateKey = value(inject.sshKey?.privateKey);
  if (inject.sshKey && privateKey !== null) {
    const [passphrase, certificate] = [value(inject.sshKey.passphrase), value(inject.sshKey.certificate)];
    result.sshKeys.push({ name, privateKey: withNewline(privateKey), passphrase, certificate });
  }
  for (const [variable, field] of Object.entries(inject.environment ?? {})) {
    const text = value(field);
    if (text !== null) result.environment[variable] = text;
  }
  for (const file of inject.files ?? []) {
    const content = value(file.content);
    if (content !== null)
      result.files.push({ name: file.name, content, environment: file.environment ?? null });
  }
  for (const [variable, field] of Object.entries(inject.extraVars ?? {})) {
    const text = value(field);
    if (text !== null) result.extraVars[variable] = text;
  }
};

// ssh-add refuses a key whose last line has no end, or Windows line ends.
const withNewline = (key: string): string => `${key.replace(/\r\n?/g, '\n').replace(/\n+$/, '')}\n`;

const boundary = /^-----(BEGIN|END) [A-Z0-9 ]+-----$/;

/** The whole, and each line of it that says something: output shows a key line by line. */
const masksOf = (text: string): string[] => {
  const lines = text.split(/[\r\n]+/).map((line) => line.trim());
  return [text, text.trim(), ...lines].filter(
    (part) => part.length >= SHORTEST_SECRET && !boundary.test(part),
  );
};

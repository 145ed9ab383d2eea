/** Checks what was filled in against the credential type. Sentences name fields and never quote what is in them. */
import { ENCRYPTED, type CredentialType } from '@gantry/contracts/credential';
import { PlatformError } from '@gantry/contracts/errors';
import type { TypeDefinition } from './credential-type.js';

/** Inputs as they are kept: apart, for they go different ways. Fields that were left out or empty are in neither. */
export interface CheckedInputs {
  plain: Record<string, string | boolean>;
  secret: Record<string, string>;
}

/** A secret of fewer characters cannot be masked in a job's output without masking half of the output. */
export const SHORTEST_SECRET = 4;
const longest = { oneLine: 8_192, multiline: 65_536 };

/** Sorts and checks inputs; defaults are filled in. Throws `invalid` with details {field} for the first field that is wrong. */
export const checkInputs = (definition: TypeDefinition, inputs: Record<string, unknown>): CheckedInputs => {
  const { type } = definition;
  const known = new Set(type.fields.map((field) => field.id));
  for (const name of Object.keys(inputs)) {
    // A name is the caller's text: it may be a secret in the wrong place.
    if (!known.has(name))
      throw wrong(
        type,
        null,
        `it has a field that ${type.name} credentials do not have. Their fields: ${[...known].join(', ')}`,
      );
  }
  const checked: CheckedInputs = { plain: {}, secret: {} };
  for (const field of type.fields) {
    const given = inputs[field.id] ?? undefined;
    const value = given === undefined || given === '' ? field.default : given;
    if (value === undefined) {
      if (type.required.includes(field.id)) throw wrong(type, field.id, 'is needed');
    } else if (field.type === 'boolean') {
      if (typeof value !== 'boolean') throw wrong(type, field.id, 'is either true or false');
      checked.plain[field.id] = value;
    } else {
      const text = checkText(definition, field, value);
      if (field.secret) checked.secret[field.id] = text;
      else checked.plain[field.id] = text;
    }
  }
  return checked;
};

const checkText = (
  { type, inject }: TypeDefinition,
  field: CredentialType['fields'][number],
  value: unknown,
): string => {
  const fail = (why: string): PlatformError => wrong(type, field.id, why);
  if (typeof value !== 'string') throw fail('is text');
  const limit = field.multiline ? longest.multiline : longest.oneLine;
  if (value.length > limit) throw fail(`has at most ${limit} characters`);
  if (field.multiline ? /\u0000/.test(value) : /[\u0000-\u001f\u007f]/.test(value)) {
    throw fail(field.multiline ? 'has no NUL characters' : 'is one line, without control characters');
  }
  if (field.choices && !field.choices.includes(value)) throw fail(`is one of ${field.choices.join(', ')}`);
  if (Object.values(inject.arguments ?? {}).includes(field.id) && value.startsWith('-')) {
    throw fail('does not begin with "-": ansible-playbook would take it for an option');
  }
  if (!field.secret) return value;
  if (value === ENCRYPTED)
    throw fail(
      `reads ${ENCRYPTED}, which stands for a stored secret: a new credential needs the secret itself`,
    );
  if (value.trim().length < SHORTEST_SECRET) {
    throw fail(
      `is shorter than ${SHORTEST_SECRET} characters: it could not be masked in the output of a job`,
    );
  }
  return value;
};

/** `invalid`, about one field of a credential of this type. */
export const wrong = (type: CredentialType, field: string | null, why: string): PlatformError =>
  new PlatformError(
    'invalid',
    field === null
      ? `This ${type.name} credential is not right: ${why}.`
      : `${type.name} credential: ${field} ${why}.`,
    {
      details: { credentialType: type.id, ...(field === null ? {} : { field }) },
    },
  );

/** The public contract: it builds, and everything in it is described. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  buildSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
} from 'graphql';
import { describe, expect, it } from 'vitest';

const schema = buildSchema(
  readFileSync(join(import.meta.dirname, '../../apps/gateway/schema.graphql'), 'utf8'),
);
const types = Object.values(schema.getTypeMap()).filter(
  (type) => !isIntrospectionType(type) && !['String', 'Int', 'Float', 'Boolean', 'ID'].includes(type.name),
);

describe('the GraphQL contract', () => {
  it('describes every type, field, argument-free input and enum value', () => {
    const silent = types.flatMap((type) => {
      const parts =
        isObjectType(type) || isInterfaceType(type) || isInputObjectType(type)
          ? Object.values(type.getFields())
          : isEnumType(type)
            ? type.getValues()
            : [];
      const roots = ['Query', 'Mutation', 'Subscription'].includes(type.name);
      return [
        ...(type.description || roots ? [] : [type.name]),
        ...parts.filter((part) => !part.description).map((part) => `${type.name}.${part.name}`),
      ];
    });
    expect(silent).toEqual([]);
  });

  it('has no field that could give a secret', () => {
    const fields = types
      .filter(isObjectType)
      .flatMap((type) => Object.keys(type.getFields()).map((field) => `${type.name}.${field}`));
    expect(fields.filter((field) => /password|secret|private/i.test(field))).toEqual([
      'CredentialField.secret',
    ]);
  });

  it('takes an idempotency key wherever it creates', () => {
    const mutations = Object.values(schema.getMutationType()!.getFields()).filter(({ name }) =>
      /^(create|register|launch|relaunch)/.test(name),
    );
    const without = mutations.filter(({ args }) => {
      const input = args.find((arg) => arg.name === 'input')!;
      const type = schema.getType(String(input.type).replace(/!$/, ''));
      return !(isInputObjectType(type) && 'idempotencyKey' in type.getFields());
    });
    expect(without.map(({ name }) => name)).toEqual([]);
  });
});

import { parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createSchema } from './schema.js';

describe('the schema', () => {
  const schema = createSchema();

  it('has a resolver for everything that is asked of another service', () => {
    for (const field of Object.values({
      ...schema.getQueryType()!.getFields(),
      ...schema.getMutationType()!.getFields(),
    })) {
      expect(field.resolve, field.name).toBeTypeOf('function');
    }
    for (const field of Object.values(schema.getSubscriptionType()!.getFields()))
      expect(field.subscribe, field.name).toBeTypeOf('function');
  });

  it('takes JSON as literals and as variables', () => {
    const document = parse(
      'mutation ($v: JSON) { createInventory(input: { name: "a", organizationId: "o", variables: { a: [1, $v] } }) { id } }',
    );
    expect(validate(schema, document)).toEqual([]);
  });
});

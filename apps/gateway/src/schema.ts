/** The executable schema: the contract in schema.graphql and the resolvers that fill it. */
import { readFileSync } from 'node:fs';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { GraphQLScalarType, Kind, type GraphQLSchema, type ValueNode } from 'graphql';
import { eeResolvers } from './ee.resolver.js';
import { imageResolvers } from './image.resolver.js';
import { identityResolvers } from './identity.resolver.js';
import { jobResolvers } from './job.resolver.js';
import { pullResolvers } from './pull.resolver.js';
import { relaunchResolvers } from './relaunch.resolver.js';
import { retentionResolvers } from './retention.resolver.js';
import { templateResolvers } from './template.resolver.js';

/** Nesting of a JSON literal inside a query; deeper ones come as variables. */
const LITERAL_DEPTH = 20;

const literal = (
  node: ValueNode,
  variables: Record<string, unknown> | null | undefined,
  depth = 0,
): unknown => {
  if (depth > LITERAL_DEPTH)
    throw new TypeError('This JSON literal is nested too deeply: send it as a variable.');
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.LIST:
      return node.values.map((value) => literal(value, variables, depth + 1));
    case Kind.OBJECT:
      return Object.fromEntries(
        node.fields.map((field) => [field.name.value, literal(field.value, variables, depth + 1)]),
      );
    case Kind.VARIABLE:
      return variables?.[node.name.value];
    default:
      return node.value;
  }
};

const JSONScalar = new GraphQLScalarType({
  name: 'JSON',
  parseValue: (value) => value,
  parseLiteral: (node, variables) => literal(node, variables),
});
const DateTime = new GraphQLScalarType({
  name: 'DateTime',
  serialize: (value) => (value instanceof Date ? value.toISOString() : value),
});

/** Builds the schema from the SDL file beside `src`. */
export const createSchema = (): GraphQLSchema =>
  makeExecutableSchema({
    typeDefs: readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'),
    resolvers: [
      { JSON: JSONScalar, DateTime },
      identityResolvers,
      templateResolvers,
      eeResolvers,
      pullResolvers,
      imageResolvers,
      jobResolvers,
      relaunchResolvers,
      retentionResolvers,
    ],
    inheritResolversFromInterfaces: true,
  });

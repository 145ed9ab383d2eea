import { readFileSync } from 'node:fs';
import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import * as ees from '../ees/ee.queries.js';
import * as images from '../images/image.queries.js';
import * as jobs from '../jobs/job.queries.js';
import * as relaunch from '../jobs/relaunch.queries.js';
import * as resources from '../resources/resource.queries.js';
import * as storage from '../storage/storage.queries.js';
import * as templates from '../templates/template.queries.js';

const schema = buildSchema(readFileSync(new URL('../../../gateway/schema.graphql', import.meta.url), 'utf8'));
const documents = Object.entries({
  ...ees,
  ...images,
  ...jobs,
  ...resources,
  ...storage,
  ...templates,
  ...relaunch,
}).flatMap(([name, value]) =>
  typeof value === 'object' && 'text' in value ? [{ name, text: value.text }] : [],
);

describe("the page's documents", () => {
  it('are all here', () => {
    expect(documents.length).toBeGreaterThanOrEqual(20);
  });

  it.each(documents)('$name fits the schema of the gateway', ({ text }) => {
    expect(validate(schema, parse(text)).map((error) => error.message)).toEqual([]);
  });
});

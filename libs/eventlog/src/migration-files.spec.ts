import { describe, expect, it } from 'vitest';
import { fillSchema, numberMigrations } from './migration-files.js';

describe('migration files', () => {
  it('are numbered 1, 2, 3', () => {
    expect(numberMigrations('dir', ['000001_init.sql', '000002_add_x.sql'])).toEqual([1, 2]);
  });

  it.each([
    ['a gap', ['000001_init.sql', '000003_x.sql']],
    ['a number twice', ['000001_a.sql', '000001_b.sql']],
    ['another kind of name', ['init.sql']],
  ])('are refused with %s', (_what, files) => {
    expect(() => numberMigrations('dir', files)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  it('get the schema name quoted where :SCHEMA stands, and only there', () => {
    expect(fillSchema('create table :SCHEMA.a (b text default x::SCHEMA); -- :SCHEMATA', 'my "own"')).toBe(
      'create table "my ""own""".a (b text default x::SCHEMA); -- :SCHEMATA',
    );
  });

  it('take a dollar sign in a schema name as it is', () => {
    expect(fillSchema(':SCHEMA.a', "$&$'")).toBe(`"$&$'".a`);
  });
});

import { PlatformError } from '@gantry/contracts/errors';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { urlFor } from './migrate.js';
import { fromPostgres, identifier } from './sql.js';

const databaseError = (code: string): Error =>
  Object.assign(new pg.DatabaseError('said the server', 10, 'error'), {
    code,
    detail: 'Key (password)=(hunter2)',
  });

describe('an error of Postgres', () => {
  it.each([
    ['57P01', 'unavailable'],
    ['08006', 'unavailable'],
    ['53300', 'unavailable'],
    ['57014', 'unavailable'],
    ['53100', 'unavailable'],
    ['25006', 'unavailable'],
    ['40001', 'conflict'],
    ['40P01', 'conflict'],
    ['23505', 'conflict'],
    ['22P05', 'invalid'],
    ['42601', 'defect'],
    ['42501', 'defect'],
  ])('%s is %s', (sqlState, code) => {
    expect(fromPostgres(databaseError(sqlState))).toMatchObject({ code, details: { sqlState } });
  });

  it('does not quote row values', () => {
    const error = fromPostgres(databaseError('23505'));
    expect(`${error.message} ${JSON.stringify((error as PlatformError).details)}`).not.toContain('hunter2');
  });

  it('from a broken connection is unavailable', () => {
    expect(fromPostgres(new Error('Connection terminated unexpectedly'))).toMatchObject({
      code: 'unavailable',
    });
    expect(fromPostgres(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }))).toMatchObject({
      code: 'unavailable',
    });
  });

  it("that is somebody else's is left alone", () => {
    const [own, foreign] = [new PlatformError('refused', 'no'), new Error('other')];
    expect(fromPostgres(own)).toBe(own);
    expect(fromPostgres(foreign)).toBe(foreign);
  });
});

describe('an identifier', () => {
  it('is quoted', () => expect(identifier('a"b')).toBe('"a""b"'));
  it.each(['', 'x'.repeat(64), 'a\0b'])('is refused when Postgres could not keep it: %j', (name) => {
    expect(() => identifier(name)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });
});

describe('a Postgres URL', () => {
  it('takes another database, user and password, whatever they are spelt with', () => {
    const url = urlFor('postgresql://admin:old@db.example:5432/postgres?sslmode=require', {
      database: 'gantry',
      user: 'gantry_vault',
      password: 'a/b@c:%',
    });
    expect(url).toBe('postgresql://gantry_vault:a%2Fb%40c%3A%25@db.example:5432/gantry?sslmode=require');
  });

  it('may name a socket', () => {
    expect(urlFor('postgresql://me@localhost/postgres?host=/run/pg', { database: 'gantry' })).toBe(
      'postgresql://me@localhost/gantry?host=/run/pg',
    );
  });

  it.each(['', 'host=x dbname=y', 'postgresql:///postgres?host=/run/pg'])(
    'is refused when it cannot be changed: %j',
    (url) => {
      expect(() => urlFor(url, { user: 'x' })).toThrow(expect.objectContaining({ code: 'invalid' }));
    },
  );
});

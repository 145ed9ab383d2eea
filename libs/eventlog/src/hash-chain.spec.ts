import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalJson, chainHash, chainStart, type HashedEvent } from './hash-chain.js';

const event: HashedEvent = {
  id: '0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001',
  stream: 'job-1',
  streamVersion: 1,
  type: 'job.requested',
  version: 2,
  data: { b: 1, a: [true, null, { y: 'ü', x: 0.1 }] },
  meta: { actor: { kind: 'user', id: 'u1', name: 'Ann' }, correlationId: 'c1' },
  at: '2026-01-02T03:04:05.678Z',
};

describe('canonical JSON', () => {
  it('has one spelling whatever the order of keys', () => {
    expect(canonicalJson({ b: 1, a: { d: [2, 'x'], c: null } })).toBe('{"a":{"c":null,"d":[2,"x"]},"b":1}');
    expect(canonicalJson({ a: { c: null, d: [2, 'x'] }, b: 1 })).toBe('{"a":{"c":null,"d":[2,"x"]},"b":1}');
  });

  it('sorts keys by UTF-16 code unit, so that numbers do not come first by themselves', () => {
    expect(canonicalJson({ '\uFB33': 1, '\u{1F600}': 2, 10: 3, 9: 4, a: 5 })).toBe(
      '{"10":3,"9":4,"a":5,"\u{1F600}":2,"\uFB33":1}',
    );
  });

  it('writes what JSON has no word for as JSON.stringify does', () => {
    expect(canonicalJson({ gone: undefined, date: new Date(0), zero: -0, none: Number.NaN })).toBe(
      '{"date":"1970-01-01T00:00:00.000Z","none":null,"zero":0}',
    );
  });

  it('keeps a key called __proto__', () => {
    expect(canonicalJson(JSON.parse('{"__proto__":{"a":1}}'))).toBe('{"__proto__":{"a":1}}');
  });

  it('refuses what is no JSON at all', () => {
    expect(() => canonicalJson(undefined)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });
});

describe('the hash of an event', () => {
  it('is SHA-256 over the hash before and the canonical event, as anyone can recompute', () => {
    const text =
      '{"at":"2026-01-02T03:04:05.678Z","data":{"a":[true,null,{"x":0.1,"y":"ü"}],"b":1},' +
      '"id":"0b9e6a4e-5d0b-4c56-9b0d-0d6a3a3f0001","meta":{"actor":{"id":"u1","kind":"user","name":"Ann"},"correlationId":"c1"},' +
      '"stream":"job-1","streamVersion":1,"type":"job.requested","version":2}';
    const expected = createHash('sha256').update(Buffer.alloc(32)).update(text).digest('hex');
    expect(chainHash(chainStart, event).toString('hex')).toBe(expected);
  });

  it('depends on the hash before', () => {
    expect(chainHash(Buffer.alloc(32, 1), event)).not.toEqual(chainHash(chainStart, event));
  });
});

import { describe, expect, it } from 'vitest';
import { checkVariables, mergeVariables, sameJson, sortedJson } from './variables.js';

const parse = (text: string) => JSON.parse(text) as Record<string, unknown>;

describe('variables', () => {
  it('are the same text whatever the order of their keys', () => {
    expect(sortedJson({ b: 1, a: { d: [2, { y: 1, x: 2 }], c: null } })).toBe(
      '{"a":{"c":null,"d":[2,{"x":2,"y":1}]},"b":1}',
    );
    expect(sameJson({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(true);
    expect(sameJson({ a: [1, 2] }, { a: [2, 1] })).toBe(false);
  });

  it('may have a key called __proto__ and change no prototype by it', () => {
    const hostile = parse('{"__proto__": {"admin": true}, "a": 1}');
    const merged = mergeVariables({ b: 2 }, hostile);
    expect(sortedJson(merged)).toBe('{"__proto__":{"admin":true},"a":1,"b":2}');
    expect((merged as { admin?: boolean }).admin).toBeUndefined();
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('that are nested too deep, too large, or hold NUL are refused, and say whose they are', () => {
    const deep = parse(`${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`);
    expect(() => checkVariables(deep, 'host web1')).toThrow(
      'The variables of host web1 are nested deeper than 64 levels.',
    );
    expect(() => checkVariables({ a: 'x'.repeat(600_000) }, 'the launch')).toThrow('larger than 512 KiB');
    expect(() => checkVariables({ a: ['b\0c'] }, 'the launch')).toThrow('NUL');
    checkVariables({ a: { b: [1, 'two', null, true] } }, 'anything');
  });
});

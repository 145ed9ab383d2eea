import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Secret } from '../secret.js';
import { openFields, sealFields, type Owner } from './envelope.js';
import type { KeyRing } from './key-ring.js';

const key = randomBytes(32);
const ring: KeyRing = { current: { id: 'k1', key }, find: () => key };
const owner: Owner = { kind: 'credential', id: '3f0e7a52-0000-4000-8000-000000000001', version: 1 };
const fields = { password: new Secret('hünter2 and more'), ssh_key_data: new Secret('x'.repeat(5_000)) };
const seal = () => sealFields(ring, owner, fields);
const tampered = expect.objectContaining({
  code: 'defect',
  details: expect.objectContaining({ reason: 'integrity' }) as unknown,
});

describe('encrypted fields', () => {
  it('open to what they were', () => {
    const opened = openFields(ring, owner, seal());
    expect(Object.keys(opened)).toEqual(Object.keys(fields));
    expect(opened['password']!.reveal()).toBe(fields.password.reveal());
    expect(opened['ssh_key_data']!.reveal()).toBe(fields.ssh_key_data.reveal());
  });

  it('hold nothing in plain, and differ each time', () => {
    const [one, two] = [seal(), seal()];
    expect(one.fields[0]!.ciphertext.includes('hünter2')).toBe(false);
    expect(one.fields[0]!.ciphertext).not.toEqual(two.fields[0]!.ciphertext);
    expect(one.wrapped).not.toEqual(two.wrapped);
  });

  it('do not open when any one byte of a ciphertext is flipped', () => {
    const length = seal().fields[0]!.ciphertext.length;
    for (let at = 0; at < length; at++) {
      const sealed = seal();
      sealed.fields[0]!.ciphertext[at]! ^= 1;
      expect(() => openFields(ring, owner, sealed)).toThrow(tampered);
    }
  });

  it('do not open when any one byte of the wrapped key is flipped', () => {
    const length = seal().wrapped.length;
    for (let at = 0; at < length; at++) {
      const sealed = seal();
      sealed.wrapped[at]! ^= 0x80;
      expect(() => openFields(ring, owner, sealed)).toThrow(tampered);
    }
  });

  it('open for their own credential, version and field only', () => {
    const sealed = seal();
    expect(() => openFields(ring, { ...owner, version: 2 }, sealed)).toThrow(tampered);
    expect(() => openFields(ring, { ...owner, id: owner.id.replace('1', '2') }, sealed)).toThrow(tampered);
    expect(() => openFields(ring, { ...owner, kind: 'grant' }, sealed)).toThrow(tampered);
    const [first, second] = sealed.fields;
    const swapped = [
      { ...first!, field: second!.field },
      { ...second!, field: first!.field },
    ];
    expect(() => openFields(ring, owner, { ...sealed, fields: swapped })).toThrow(tampered);
  });

  it('do not open cut short', () => {
    const sealed = seal();
    for (const length of [0, 1, 28]) {
      sealed.fields[0]!.ciphertext = sealed.fields[0]!.ciphertext.subarray(0, length);
      expect(() => openFields(ring, owner, sealed)).toThrow(tampered);
    }
  });
});

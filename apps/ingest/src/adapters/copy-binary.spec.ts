import { describe, expect, it } from 'vitest';
import { createRowWriter } from './copy-binary.js';

const header = '5047434f50590aff0d0a000000000000000000';

describe('rows in binary COPY format', () => {
  it('are nothing but the frame when there are none', () => {
    expect(createRowWriter().finish().toString('hex')).toBe(`${header}ffff`);
  });
  it('hold each field behind its length, null as -1', () => {
    const rows = createRowWriter();
    rows.row(5).int2(1).int4(null).bool(true).text('ü').date('2000-01-02');
    expect(rows.finish().toString('hex')).toBe(
      `${header}0005` +
        '000000020001' +
        'ffffffff' +
        '0000000101' +
        '00000002c3bc' +
        '0000000400000001' +
        'ffff',
    );
    expect(rows.count).toBe(1);
  });
  it('grow beyond what was set aside', () => {
    const rows = createRowWriter();
    const large = Buffer.alloc(100_000, 7);
    rows.row(1).bytes(large).row(1).bytes(large);
    expect(rows.finish()).toHaveLength(19 + 2 * (2 + 4 + 100_000) + 2);
  });
});

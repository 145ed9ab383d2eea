import { describe, expect, it } from 'vitest';
import { parseExtraVars } from './jobs.command.js';

describe('-e', () => {
  it('takes NAME=VALUE as text, as ansible-playbook does', () => {
    expect(parseExtraVars(['seconds=20', 'greeting=a=b'])).toEqual({ seconds: '20', greeting: 'a=b' });
  });

  it('takes YAML and JSON mappings, later ones win', () => {
    expect(parseExtraVars(['{"a": 1, "b": [2]}', 'a: {deep: true}'])).toEqual({ a: { deep: true }, b: [2] });
  });

  it.each(['just words', '[1, 2]', '{"open": ', ''])('refuses %j and says which', (text) => {
    expect(() => parseExtraVars([text])).toThrow(/-e /);
  });
});

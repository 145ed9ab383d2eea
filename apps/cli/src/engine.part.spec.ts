import { describe, expect, it } from 'vitest';
import { registriesConf } from './engine.part.js';

describe("podman's configuration of registries", () => {
  it('keeps what there was, and gets the mirrors', () => {
    const given = JSON.stringify({ 'docker.io': ['mirror.example:5000', 'second.example'] });
    expect(registriesConf(given, 'short-name-mode = "enforcing"\n')).toBe(`short-name-mode = "enforcing"

[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "mirror.example:5000"
[[registry.mirror]]
location = "second.example"
`);
  });

  it('takes nothing that could be more than a name', () => {
    for (const given of ['{', 'null', '[]', '{"docker.io": "x"}', '{"a\\"b": ["x"]}'])
      expect(registriesConf(given, 'before\n').trim()).toBe('before');
    expect(registriesConf('{"docker.io": ["a\\"\\nb", 1]}', '')).not.toContain('mirror');
  });
});

import { describe, expect, it } from 'vitest';
import { registryHost } from './registry-host.js';

describe('the registry of a credential', () => {
  it.each([
    ['quay.io', 'quay.io'],
    [' https://Quay.IO/ ', 'quay.io'],
    ['quay.io:443', 'quay.io'],
    ['http://localhost:5000/v2/', 'localhost:5000'],
    ['[::1]:5000', '[::1]:5000'],
    ['https://index.docker.io/v1/', 'docker.io'],
    ['registry-1.docker.io', 'docker.io'],
  ])('%s is %s', (written, host) => expect(registryHost(written)).toBe(host));

  it('is not another one that begins, ends or is read like it', () => {
    for (const other of [
      'quay.io.example',
      'notquay.io',
      'quay.io:8443',
      'quay.io@evil.example',
      'quay.io?.evil',
    ])
      expect(registryHost(other)).not.toBe('quay.io');
  });
});

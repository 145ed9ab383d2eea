import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { authFor, hostOf, repositoryOf } from './registry-auth.js';

const work = mkdtempSync(join(tmpdir(), 'gantry-auth-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

const file = (value: unknown): void => {
  const name = join(work, 'auth.json');
  writeFileSync(name, typeof value === 'string' ? value : JSON.stringify(value));
  vi.stubEnv('REGISTRY_AUTH_FILE', name);
};
const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });

describe('a reference', () => {
  it('has a host and a repository', () => {
    expect(hostOf('registry.example:5000/team/ee:1')).toBe('registry.example:5000');
    expect(hostOf('localhost/ee')).toBe('localhost');
    expect(hostOf('library/debian:12')).toBe('docker.io');
    expect(repositoryOf('registry.example:5000/team/ee:1')).toBe('registry.example:5000/team/ee');
    expect(repositoryOf('registry.example:5000/team/ee@sha256:00')).toBe('registry.example:5000/team/ee');
  });
});

describe("podman's or docker's authentication file", () => {
  it('has the login of a registry, or of a part of it', () => {
    file({
      auths: {
        'registry.example': auth('all:one:two'),
        'registry.example/team': auth('team:x'),
        'other.example': {},
      },
    });
    expect(authFor('registry.example/ee:1')).toEqual({
      username: 'all',
      password: 'one:two',
      serveraddress: 'registry.example',
    });
    expect(authFor('registry.example/team/ee:1')).toMatchObject({ username: 'team' });
    expect(authFor('other.example/ee:1')).toBeUndefined();
    expect(authFor('nowhere.example/ee:1')).toBeUndefined();
  });

  it("has Docker's own registry under a name of its own", () => {
    file({ auths: { 'https://index.docker.io/v1/': auth('me:pw') } });
    expect(authFor('me/ee:1')).toMatchObject({ username: 'me', serveraddress: 'docker.io' });
  });

  it('that cannot be read is named, and not quoted', () => {
    file('{"auths": 1, "secret"');
    expect(() => authFor('registry.example/ee:1')).toThrow(
      /auth\.json is not an authentication file of docker or podman\.$/,
    );
  });
});

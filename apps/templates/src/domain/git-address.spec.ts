import { describe, expect, it } from 'vitest';
import { checkRef, parseGitAddress } from './git-address.js';

describe('a git URL', () => {
  it.each([
    ['https://github.com/ansible/ansible-examples.git', 'https', 'github.com', 443],
    ['http://git.example.com:8080/a/b', 'http', 'git.example.com', 8080],
    ['git://127.0.0.1:9418/demo', 'git', '127.0.0.1', 9418],
    ['git://localhost/demo', 'git', 'localhost', 9418],
    ['ssh://git@example.com:2222/a.git', 'ssh', 'example.com', 2222],
    ['https://[2001:db8::1]:8443/a', 'https', '2001:db8::1', 8443],
    ['git@github.com:ansible/ansible.git', 'ssh', 'github.com', 22],
  ])('%s is taken', (url, scheme, host, port) => {
    expect(parseGitAddress(url)).toEqual({ url, scheme, host, port });
  });

  it.each([
    '',
    '--upload-pack=touch /tmp/x',
    '-oProxyCommand=x',
    'ext::sh -c id',
    'ext::sh',
    'fd::17/foo',
    'file:///etc',
    '/etc/passwd',
    '../repo',
    'ssh://-oProxyCommand=x/y',
    'ssh://a@-oProxyCommand=x/y',
    'ssh://-l@host/y',
    '-oProxyCommand=x:y',
    'git@-oProxy:path',
    'git@host:-path',
    'git://host/-x',
    'https://host',
    'https://',
    'https://host:99999/x',
    'https://ho st/x',
    'https://host/x\ny',
    'javascript:alert(1)',
    'ftp://host/x',
    'https://user:secret@host/x',
    'https://token@host/x',
    'ssh://user:secret@host/x',
    'http://host:80:80/x',
  ])('%j is refused', (url) => {
    expect(() => parseGitAddress(url)).toThrow(/^scmUrl /);
  });

  it('with a password in it is refused without quoting it', () => {
    try {
      parseGitAddress('https://ann:hunter2@host/x');
      expect.fail('was taken');
    } catch (error) {
      expect(JSON.stringify(error) + String(error)).not.toContain('hunter2');
    }
  });

  it("of this machine's files is taken in tests only", () => {
    expect(parseGitAddress('file:///srv/x', { allowFile: true }).scheme).toBe('file');
  });
});

describe('a ref', () => {
  it.each([
    '',
    'main',
    'release/1.2',
    'v1.0.0',
    'feature_x-y',
    '347e44fea036c94d5f60e544de006453ee5c71ad',
    'grüße',
    'a+b=c,d#e%f',
  ])('%j is taken', (ref) => {
    checkRef(ref);
  });
  it.each([
    '--output=/tmp/x',
    '-x',
    'a b',
    'a..b',
    'a~1',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[b',
    'a\\b',
    '@{-1}',
    '@',
    'a//b',
    '/a',
    'a/',
    '.a',
    'a.lock',
    'a.',
    'a\nb',
    '$(id)',
    '`id`',
    'a;b',
  ])('%j is refused', (ref) => {
    expect(() => checkRef(ref)).toThrow(/^scmBranch /);
  });
});

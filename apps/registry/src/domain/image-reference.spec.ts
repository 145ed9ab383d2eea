import { describe, expect, it } from 'vitest';
import { defaultPull, formatImageReference, isEngineLocal, parseImageReference } from './image-reference.js';

const sha = `sha256:${'0123456789abcdef'.repeat(4)}`;
const messageOf = (text: string): string => {
  try {
    return `accepted as ${formatImageReference(parseImageReference(text))}`;
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid', details: { field: 'image' } });
    return (error as Error).message;
  }
};

describe('an image reference', () => {
  it.each([
    ['quay.io/ansible/awx-ee:latest', 'quay.io/ansible/awx-ee:latest'],
    ['localhost/gantry-ee:24.11', 'localhost/gantry-ee:24.11'],
    ['localhost:5000/ee', 'localhost:5000/ee'],
    ['127.0.0.1:5000/a/b/c:1', '127.0.0.1:5000/a/b/c:1'],
    ['[::1]:5000/ee:1', '[::1]:5000/ee:1'],
    ['MyHost/ee', 'MyHost/ee'],
    [`quay.io/x/y:1@${sha}`, `quay.io/x/y:1@${sha}`],
    [`quay.io/x@${sha}`, `quay.io/x@${sha}`],
    ['alpine', 'docker.io/library/alpine'],
    ['me/alpine:3', 'docker.io/me/alpine:3'],
    ['docker.io/alpine', 'docker.io/library/alpine'],
    ['quay.io/a.b__c---d/x', 'quay.io/a.b__c---d/x'],
  ])('%s reads as %s', (text, full) => expect(formatImageReference(parseImageReference(text))).toBe(full));

  it.each([
    ['quay.io/Ansible/awx-ee', '"Ansible"'],
    ['Alpine', '"Alpine"'],
    ['quay.io/x:', '""'],
    ['quay.io/x:-1', '"-1"'],
    [`quay.io/x:${'t'.repeat(129)}`, '"tttt'],
    ['quay.io/x@sha256:12', '"sha256:12"'],
    [`quay.io/x@md5:${'0'.repeat(64)}`, '"md5:'],
    [`quay.io/x@${sha.toUpperCase()}`, '"SHA256:'],
    ['quay.io/a..b', '"a..b"'],
    ['quay.io/a___b', '"a___b"'],
    ['quay.io//x', 'empty'],
    ['quay.io/', 'missing'],
    ['', 'missing'],
    ['-x.io/y', '"-x.io"'],
    ['quay.io:99999/y', '"quay.io:99999"'],
    ['https://quay.io/x', '"https://"'],
    ['quay.io/x y', '"x y"'],
    ['quay.io/x\n', '"x\\n"'],
    ['0123456789abcdef'.repeat(4), 'image id'],
    [`quay.io/${'a'.repeat(260)}`, 'at most 255'],
  ])('%j is refused: %s', (text, quoted) => expect(messageOf(text)).toContain(quoted));

  it('is pulled as Kubernetes would', () => {
    const pull = (text: string) => defaultPull(parseImageReference(text));
    expect([
      pull('quay.io/x'),
      pull('quay.io/x:latest'),
      pull('quay.io/x:1'),
      pull(`quay.io/x@${sha}`),
    ]).toEqual(['always', 'always', 'missing', 'missing']);
  });

  it('is local to an engine only where no registry can be meant', () => {
    expect(
      ['localhost/x:1', 'localhost:5000/x:1', 'quay.io/x:1'].map((text) =>
        isEngineLocal(parseImageReference(text)),
      ),
    ).toEqual([true, false, false]);
  });
});

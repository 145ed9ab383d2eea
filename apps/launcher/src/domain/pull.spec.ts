import { describe, expect, it } from 'vitest';
import { createProgress, mayPass, pauseAfter, pullFailure, worthTelling } from './pull.js';

const inPodman = (words: string): string =>
  `initializing source docker://r:5000/team/ee:1: reading manifest 1 in r:5000/team/ee: ${words}`;

describe('an image that cannot be pulled', () => {
  it.each([
    [inPodman('unauthorized: authentication required'), 'image_unauthorized'],
    ['pull access denied for team/ee, repository does not exist or may require \'docker login\': denied: requested access to the resource is denied', 'image_unauthorized'],
    ['Head "https://r:5000/v2/team/ee/manifests/1": no basic auth credentials', 'image_unauthorized'],
    [inPodman('manifest unknown: manifest unknown'), 'image_not_found'],
    ['manifest for r:5000/team/ee:1 not found: manifest unknown', 'image_not_found'],
    ['repository r:5000/team/nope not found: name unknown', 'image_not_found'],
    ['pinging container registry r: Get "https://r/v2/": x509: certificate signed by unknown authority', 'image_registry_untrusted'],
    ['Get "https://r/v2/": tls: failed to verify certificate: x509: certificate has expired', 'image_registry_untrusted'],
    ['Get "https://r/v2/": http: server gave HTTP response to HTTPS client', 'image_registry_untrusted'],
    ['pinging container registry r: Get "https://r/v2/": dial tcp: lookup r: no such host', 'image_registry_unreachable'],
    ['Get "https://r/v2/": dial tcp 127.0.0.1:1: connect: connection refused', 'image_registry_unreachable'],
    ['Get "https://r/v2/": net/http: TLS handshake timeout', 'image_registry_unreachable'],
    ['Get "https://r/v2/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)', 'image_registry_unreachable'],
    [inPodman('toomanyrequests: You have reached your pull rate limit'), 'image_registry_unreachable'],
    ['received unexpected HTTP status: 503 Service Unavailable', 'image_registry_unreachable'],
    ['writing blob: storing blob to file "/var/tmp/x": write /var/tmp/x: no space left on device', 'image_no_space'],
    ['writing blob: adding layer with blob "sha256:2f": ApplyLayer stdout:  stderr: write /x: no space left on device exit status 1', 'image_no_space'],
    ['choosing an image from manifest list docker://r/x@sha256:1: no image found in image index for architecture amd64, variant "", OS linux', 'image_wrong_platform'],
    ['no matching manifest for linux/amd64 in the manifest list entries', 'image_wrong_platform'],
    ['short-name "x:1" did not resolve to an alias', 'image_invalid'],
    ['parsing image configuration: unexpected end of JSON input', 'image_invalid'],
    ['copying config: Digest did not match, expected sha256:1, got sha256:2', 'image_invalid'],
    ['the engine had a bad day', 'image_pull_failed'],
  ])('is explained: %s', (words, reason) => {
    expect(pullFailure('r:5000/team/ee:1', words)).toMatchObject({
      code: 'refused',
      details: { reason, image: 'r:5000/team/ee:1' },
      message: expect.stringContaining(words),
    });
  }); // prettier-ignore

  it('is told in one line, without signatures in addresses', () => {
    const words = 'Get "https://store.example/blob?X-Amz-Signature=secret": dial tcp:\n\u001b[31mEOF';
    const { message } = pullFailure('r/x:1', words);
    expect(message).toContain('https://store.example/blob');
    expect(message).not.toMatch(/Signature|\n|\u001b/);
  });

  it('is asked for again only while its registry is away', () => {
    expect(mayPass(pullFailure('r/x:1', 'connection refused'))).toBe(true);
    for (const words of [
      'unauthorized',
      'manifest unknown',
      'x509: expired',
      'no space left on device',
      'odd',
    ])
      expect(mayPass(pullFailure('r/x:1', words))).toBe(false);
    expect([1, 2, 3, 4, 9].map(pauseAfter)).toEqual([1_000, 3_000, 9_000, 27_000, 30_000]);
  });
});

describe('the progress of a pull', () => {
  it('is added up as Docker tells it', () => {
    const progress = createProgress();
    const said = [
      { status: 'Pulling from team/ee', id: 'latest' },
      { status: 'Already exists', progressDetail: {}, id: 'a' },
      { status: 'Pulling fs layer', progressDetail: {}, id: 'b' },
      { status: 'Pulling fs layer', progressDetail: {}, id: 'c' },
      { status: 'Downloading', progressDetail: { current: 10, total: 100 }, id: 'b' },
      { status: 'Download complete', progressDetail: {}, id: 'b' },
      { status: 'Extracting', progressDetail: { current: 1, total: 100 }, id: 'b' },
      { status: 'Downloading', progressDetail: { current: 5, total: 50 }, id: 'c' },
      { status: 'Digest: sha256:1' },
    ].map(progress.add);
    expect(said[0]).toBeNull();
    expect(said[1]).toEqual({ layers: 1, layersDone: 1, bytes: null, bytesTotal: null });
    expect(said[4]).toEqual({ layers: 3, layersDone: 1, bytes: 10, bytesTotal: 100 });
    expect(said[7]).toEqual({ layers: 3, layersDone: 2, bytes: 105, bytesTotal: 150 });
    expect(said[8]).toBeNull();
  });

  it('is layers alone as Podman tells it', () => {
    const progress = createProgress();
    progress.add({ status: 'Pulling fs layer', progressDetail: {}, id: 'a' });
    expect(progress.add({ status: 'Download complete', progressDetail: {}, id: 'a' })).toEqual({
      layers: 1,
      layersDone: 1,
      bytes: null,
      bytesTotal: null,
    });
  });

  it('is told each two seconds, and of a long pull some sixty times an hour', () => {
    expect(worthTelling(1_900, 1_900)).toBe(false);
    expect(worthTelling(2_000, 2_000)).toBe(true);
    let [told, times] = [0, 0];
    for (let now = 0; now <= 3_600_000; now += 100) {
      if (!worthTelling(now, now - told)) continue;
      told = now;
      times += 1;
    }
    expect(times).toBeLessThan(80);
  });
});

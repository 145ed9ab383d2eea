import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { ImageInspected } from '@gantry/contracts/image';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sbomOf, type InspectedImage } from './sbom.js';

const fixture = new URL('../../../libs/contracts/fixtures/image.inspected.v1.json', import.meta.url);
const { digest, contents } = ImageInspected.data.parse(
  (JSON.parse(readFileSync(fixture, 'utf8')) as { data: unknown }).data,
);
const image: InspectedImage = {
  digest,
  contents,
  references: ['localhost/gantry-ee:24.11'],
  inspectedAt: '2026-11-28T10:00:00.000Z',
};
const holding = (report: Partial<InspectedImage['contents']['report']>): InspectedImage => ({
  ...image,
  contents: { ...contents, report: { ...contents.report, ...report } },
});
interface Document {
  serialNumber: string;
  metadata: { component: { name: string; version: string } };
  components?: { name: string; group?: string; version?: string; purl?: string }[];
  dependencies: { ref: string; dependsOn?: string[] }[];
}
const documentOf = (of: InspectedImage) => JSON.parse(sbomOf(of)) as Document;
const purlsOf = (of: InspectedImage) => documentOf(of).components?.map(({ purl }) => purl);

describe('a bill of materials', () => {
  it.each([
    ['an image', image],
    ['an empty image', holding({ os: {}, python: null, packageManager: null, pythonPackages: [], collections: [], systemPackages: [] })],
    ['strange names', holding({ collections: [{ name: 'a b', version: '1 %?#/@', path: '' }], os: { name: 'x' } })],
  ])('of %s is valid by the official schema of CycloneDX 1.6', async (_, of) => {
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
    expect(await validator.validate(sbomOf(of))).toBeNull();
  }); // prettier-ignore

  it('names the image by its digest and every package by its URL', () => {
    const document = documentOf(
      holding({
        systemPackages: [{ name: 'git', version: '1:2.47.3-0+deb13u1', arch: 'amd64' }],
        pythonPackages: [{ name: 'Jinja2', version: '3.1.6' }],
      }),
    );
    expect(document.metadata.component).toMatchObject({ name: 'localhost/gantry-ee:24.11', version: digest });
    expect(document.components?.map(({ purl }) => purl)).toEqual(
      expect.arrayContaining([
        'pkg:deb/debian/git@1:2.47.3-0+deb13u1?arch=amd64&distro=debian-13',
        'pkg:pypi/jinja2@3.1.6',
        'pkg:generic/community/general@7.5.0?type=ansible-collection',
      ]),
    );
    const own = document.dependencies.find(({ ref }) => ref === digest)!;
    expect(own.dependsOn).toHaveLength(document.components!.length);
  });

  it('knows the other package managers, and lists nothing twice', () => {
    const packages = [
      { name: 'bash', version: '1:5.1.8-9.el9', arch: 'x86_64' },
      { name: 'bash', version: '1:5.1.8-9.el9', arch: 'x86_64' },
    ];
    const rpm = holding({ packageManager: 'rpm', os: { id: 'centos', version: '9' }, systemPackages: packages });
    expect(purlsOf(rpm)!.filter((purl) => purl?.startsWith('pkg:rpm'))).toEqual([
      'pkg:rpm/centos/bash@5.1.8-9.el9?arch=x86_64&distro=centos-9&epoch=1',
    ]);
    const apk = holding({ packageManager: 'apk', os: { id: 'alpine' }, systemPackages: [{ name: 'musl', version: '1.2.5-r0', arch: '' }] });
    expect(purlsOf(apk)).toContain('pkg:apk/alpine/musl@1.2.5-r0?distro=alpine');
  }); // prettier-ignore

  it('is the same for the same contents', () => {
    expect(sbomOf(image)).toBe(sbomOf(structuredClone(image)));
    expect(documentOf(image).serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/); // prettier-ignore
  });
});

/** The contents of an image as a bill of materials: CycloneDX 1.6, JSON. */
import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library';
import type { ImageContents } from '@gantry/contracts/image';
import { PackageURL } from 'packageurl-js';

/** An image and what is in it, as the registry tells it. */
export interface InspectedImage {
  digest: string;
  references: string[];
  /** ISO 8601. */
  inspectedAt: string;
  contents: ImageContents;
}

/** Media type of the document. */
export const SBOM_TYPE = 'application/vnd.cyclonedx+json; version=1.6';

type Purl = ConstructorParameters<typeof PackageURL>;
const purl = (...parts: Purl): PackageURL => new PackageURL(...parts);

/** The document as text. The same contents give the same text: its serial number follows from the digest. */
export const sbomOf = ({ digest, references, inspectedAt, contents }: InspectedImage): string => {
  const { report, config } = contents;
  const hex = digest.slice(digest.indexOf(':') + 1);
  const bom = new Models.Bom({ version: 1, serialNumber: `urn:uuid:${uuidOf(hex)}` });
  bom.metadata.timestamp = new Date(inspectedAt);
  bom.metadata.tools.components.add(new Models.Component(Enums.ComponentType.Application, 'gantry'));
  const image = new Models.Component(Enums.ComponentType.Container, references.at(-1) ?? digest, {
    version: digest,
    bomRef: digest,
    hashes: new Models.HashDictionary([
      [digest.startsWith('sha512') ? Enums.HashAlgorithm['SHA-512'] : Enums.HashAlgorithm['SHA-256'], hex],
    ]),
    properties: properties({
      'gantry:size_bytes': String(config.sizeBytes),
      'gantry:architecture': config.architecture,
      'gantry:user': config.user,
      'gantry:python': report.python?.version,
      'gantry:ansible_core': report.ansibleCore,
      'gantry:ansible_runner': report.ansibleRunner,
    }),
  });
  bom.metadata.component = image;
  const listed = new Set<string | undefined>();
  for (const one of componentsOf(contents)) {
    // What is listed twice is there once.
    if (listed.has(one.bomRef.value)) continue;
    listed.add(one.bomRef.value);
    bom.components.add(one);
    image.dependencies.add(one.bomRef);
  }
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  return serializer.serialize(bom, { sortLists: true, space: 1 });
};

const componentsOf = ({ report }: ImageContents): Models.Component[] => {
  const { os } = report;
  const system =
    os.id || os.name
      ? [
          new Models.Component(Enums.ComponentType.OperatingSystem, os.id ?? os.name!, {
            version: os.version,
            description: os.name,
            bomRef: 'os',
          }),
        ]
      : [];
  const distribution = [os.id, os.version].filter((part) => part).join('-');
  return [
    ...system,
    ...report.systemPackages.map(({ name, version, arch }) =>
      component(
        name,
        version,
        systemPurl(report.packageManager, os.id, { name, version, arch, distribution }),
      ),
    ),
    ...report.pythonPackages.map(({ name, version }) =>
      component(name, version, purl('pypi', null, name, version, null, null)),
    ),
    ...report.collections.map(({ name, version, path }) => {
      // There is no type of package URL for collections.
      const [namespace = '', own = name] = name.split('.');
      const made = component(
        own,
        version,
        purl('generic', namespace, own, version, { type: 'ansible-collection' }, null),
      );
      made.group = namespace;
      made.properties.add(new Models.Property('gantry:path', path));
      return made;
    }),
  ];
};

const systemPurl = (
  manager: ImageContents['report']['packageManager'],
  vendor: string | undefined,
  {
    name,
    version,
    arch,
    distribution,
  }: { name: string; version: string; arch: string; distribution: string },
): PackageURL => {
  const qualifiers: Record<string, string> = {
    ...(arch && { arch }),
    ...(distribution && { distro: distribution }),
  };
  if (manager !== 'rpm')
    return purl(manager === 'apk' ? 'apk' : 'deb', vendor ?? null, name, version, qualifiers, null);
  const [, epoch, plain] = /^(?:(\d+):)?(.*)$/.exec(version)!;
  return purl('rpm', vendor ?? null, name, plain, { ...qualifiers, ...(epoch && { epoch }) }, null);
};

const component = (name: string, version: string, url: PackageURL): Models.Component =>
  new Models.Component(Enums.ComponentType.Library, name, {
    version,
    purl: url.toString(),
    bomRef: url.toString(),
  });

const properties = (given: Record<string, string | null | undefined>): Models.PropertyRepository =>
  new Models.PropertyRepository(
    Object.entries(given).flatMap(([name, value]) => (value ? [new Models.Property(name, value)] : [])),
  );

/** A version-8 UUID (RFC 9562) of the first half of a digest. */
const uuidOf = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;

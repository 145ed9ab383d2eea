/** What the contents of an image mean: its packages in one list, what a job will stumble over, how two images differ. Pure. */
import type {
  ImageContents,
  ImageDifference,
  ImageFinding,
  ImagePackage,
  InspectionReport,
} from '@gantry/contracts/image';

/** The name under which Python finds a distribution, whatever way it is written (PEP 503). */
export const pythonName = (name: string): string => name.replace(/[-_.]+/g, '-').toLowerCase();

/** Every package of an image. */
export const packagesOf = ({ report }: ImageContents): ImagePackage[] => {
  const packages: ImagePackage[] = [
    ...report.collections.map(({ name, version, path }) => ({
      kind: 'collection' as const,
      name,
      version,
      detail: path,
    })),
    ...report.pythonPackages.map(({ name, version }) => ({
      kind: 'python' as const,
      name: pythonName(name),
      version,
      detail: '',
    })),
    ...(report.packageManager === null ? [] : report.systemPackages).map(({ name, version, arch }) => ({
      kind: report.packageManager!,
      name,
      version,
      detail: arch,
    })),
  ];
  const byKey = new Map(
    packages.map((one) => [[one.kind, one.name, one.version, one.detail].join('\n'), one]),
  );
  return [...byKey.values()];
};

/** The agent runs as `python3`. */
const oldestPython = [3, 9] as const;

/** What a job will stumble over, each with what to do; none for an image that can run jobs. */
export const findingsOf = ({
  python,
  ansibleCore,
  ansibleRunner,
}: Pick<InspectionReport, 'python' | 'ansibleCore' | 'ansibleRunner'>): ImageFinding[] => {
  if (python === null) {
    return [
      {
        code: 'no_python',
        message:
          'The image has no python3, so no job can start in it and its packages cannot be listed: build it with Python 3.9 or newer, ansible-core and ansible-runner.',
      },
    ];
  }
  const findings: ImageFinding[] = [];
  const [major = 0, minor = 0] = python.default.split('.').map((part) => Number.parseInt(part, 10));
  if (major < oldestPython[0] || (major === oldestPython[0] && minor < oldestPython[1])) {
    findings.push({
      code: 'python_too_old',
      message: `The python3 of the image is ${python.default}, and jobs need 3.9 or newer: build it on a newer base, or make python3 the newer one that it has.`,
    });
  }
  if (ansibleCore === null) {
    findings.push({
      code: 'no_ansible_core',
      message:
        'The image has no ansible-core, so jobs end with "no_ansible": add ansible-core to it (dependencies.ansible_core in execution-environment.yml).',
    });
  }
  if (ansibleRunner === null) {
    findings.push({
      code: 'no_ansible_runner',
      message:
        'The image has no ansible-runner, so jobs end with "no_runner": add ansible-runner to it (dependencies.ansible_runner in execution-environment.yml).',
    });
  }
  return findings;
};

/** How `to` differs from `from`. */
export const differenceOf = (from: ImageContents, to: ImageContents): ImageDifference => {
  const [before, after] = [grouped(packagesOf(from)), grouped(packagesOf(to))];
  const difference: ImageDifference = {
    added: [...after].flatMap(([key, group]) => (before.has(key) ? [] : group)),
    removed: [...before].flatMap(([key, group]) => (after.has(key) ? [] : group)),
    changed: [],
    properties: differing(propertiesOf(from), propertiesOf(to)),
    unchanged: 0,
  };
  for (const [key, group] of before) {
    const other = after.get(key);
    if (!other) continue;
    const [{ kind, name }, was, is] = [group[0]!, versionsOf(group), versionsOf(other)];
    if (was === is) difference.unchanged += group.length;
    else difference.changed.push({ kind, name, from: was, to: is });
  }
  return difference;
};

/** By kind and name: the same package may be there for two architectures, or in two versions. */
const grouped = (packages: ImagePackage[]): Map<string, ImagePackage[]> => {
  const groups = new Map<string, ImagePackage[]>();
  for (const one of packages) {
    const key = `${one.kind}\n${one.name}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return groups;
};

const versionsOf = (group: ImagePackage[]): string =>
  [...new Set(group.map(({ version }) => version))].sort().join(', ');

const propertiesOf = ({ report, config }: ImageContents): Map<string, string | null> =>
  new Map([
    ['operating system', report.os.name ?? report.os.id ?? null],
    ['Python', report.python?.version ?? null],
    ['python3', report.python?.default ?? null],
    ['ansible-core', report.ansibleCore],
    ['ansible-runner', report.ansibleRunner],
    ['architecture', config.architecture],
    ['user', config.user],
    ['working directory', config.workingDirectory],
    ['entrypoint', config.entrypoint.join(' ')],
    ['command', config.command.join(' ')],
    ...Object.entries(config.labels).map(([name, value]): [string, string] => [`label ${name}`, value]),
  ]);

const differing = (
  from: Map<string, string | null>,
  to: Map<string, string | null>,
): ImageDifference['properties'] =>
  [...new Set([...from.keys(), ...to.keys()])].flatMap((name) => {
    const [was, is] = [from.get(name) ?? null, to.get(name) ?? null];
    return was === is ? [] : [{ name, from: was, to: is }];
  });

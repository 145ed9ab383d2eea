/** Contents of images for tests. */
import type { ImageContents, InspectionReport } from '@gantry/contracts/image';

/** An image that can run jobs and holds nothing else. */
export const emptyContents: ImageContents = {
  report: {
    format: 1,
    os: { id: 'debian', version: '13', name: 'Debian GNU/Linux 13 (trixie)' },
    python: { version: '3.13.5', executable: '/usr/bin/python3', default: '3.13.5' },
    ansibleCore: '2.19.11',
    ansibleRunner: '2.4.1',
    packageManager: 'dpkg',
    pythonPackages: [],
    collections: [],
    systemPackages: [],
    problems: [],
  },
  config: {
    sizeBytes: 1,
    architecture: 'amd64',
    operatingSystem: 'linux',
    user: '1000',
    workingDirectory: '/runner',
    entrypoint: [],
    command: ['bash'],
    labels: { a: 'b' },
    createdAt: null,
  },
};

/** The same with this report. */
export const holding = (report: Partial<InspectionReport>): ImageContents => ({
  ...emptyContents,
  report: { ...emptyContents.report, ...report },
});

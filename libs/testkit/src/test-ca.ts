/** A certificate authority of a test's own. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files in PEM: the authority's certificate, its key, and what was issued by it. */
export interface TestCa {
  /** What those who shall trust it are given. */
  certificateFile: string;
  /** A certificate for loopback servers, in this folder; returns the two files. */
  issue(folder: string): { certificateFile: string; keyFile: string };
}

// What strict verifiers (Python 3.13) ask for stands in it. Without a configuration of its own, openssl adds the system's.
const configuration = `[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
`;

/** Makes one in a folder, with openssl; valid for a day. Throws what openssl says. */
export const createTestCa = (folder: string, name = 'Gantry test CA'): TestCa => {
  const { config, certificateFile, keyFile } = filesIn(folder);
  writeFileSync(config, configuration);
  request(folder, 'authority', name, ['-keyout', keyFile, '-out', certificateFile]);
  return openTestCa(folder);
};

/** One that `createTestCa` has made in this folder, perhaps in another process. */
export const openTestCa = (folder: string): TestCa => {
  const { certificateFile, keyFile } = filesIn(folder);
  return {
    certificateFile,
    issue: (place) => {
      const server = { certificateFile: join(place, 'server.crt'), keyFile: join(place, 'server.key') };
      request(folder, 'server', 'localhost', [
        ...['-CA', certificateFile, '-CAkey', keyFile],
        ...['-keyout', server.keyFile, '-out', server.certificateFile],
      ]);
      return server;
    },
  };
};

const filesIn = (folder: string) => ({
  config: join(folder, 'openssl.cnf'),
  certificateFile: join(folder, 'ca.crt'),
  keyFile: join(folder, 'ca.key'),
});

const request = (folder: string, section: string, subject: string, files: string[]): void => {
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-config',
        filesIn(folder).config,
        '-extensions',
        section,
        '-subj',
        `/CN=${subject}`,
      ],
      ...['-days', '1', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', ...files],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
};

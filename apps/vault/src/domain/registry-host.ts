/** Is this the registry that a credential is for? */

/** Docker's own registry goes by several names. */
const dockerHub = new Set([
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
]);

/** A registry as people write it (`https://Quay.io/`, `quay.io`, `index.docker.io/v1/`) as host and port alone. */
export const registryHost = (written: string): string => {
  const [host = ''] = written
    .trim()
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .split('/');
  const plain = host.replace(/:443$/, '');
  return dockerHub.has(plain) ? 'docker.io' : plain;
};

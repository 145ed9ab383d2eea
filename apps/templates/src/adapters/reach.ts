/** Can this git server be reached at all? Asked before git is, which would wait for minutes and say little. */
import { lookup } from 'node:dns/promises';
import { BlockList, connect, isIPv4 } from 'node:net';
import { PlatformError } from '@gantry/contracts/errors';
import type { GitAddress } from '../domain/git-address.js';

// Link-local addresses lead to the metadata services of clouds, which hand out credentials to whoever asks from inside.
const blocked = new BlockList();
blocked.addSubnet('169.254.0.0', 16, 'ipv4');
blocked.addSubnet('0.0.0.0', 8, 'ipv4');
blocked.addSubnet('224.0.0.0', 3, 'ipv4');
blocked.addSubnet('fe80::', 10, 'ipv6');
blocked.addSubnet('ff00::', 8, 'ipv6');
blocked.addAddress('fd00:ec2::254', 'ipv6');
blocked.addAddress('::', 'ipv6');

/** Whether nothing may be fetched from an IP address. */
export const isBlockedAddress = (address: string): boolean => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return isBlockedAddress(mapped);
  return blocked.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
};

/** Resolves when something listens there. Throws `refused`, in a sentence for the project's owner. */
export const reach = async (
  { host, port, scheme }: GitAddress,
  { seconds, tryConnect }: { seconds: number; tryConnect: boolean },
): Promise<void> => {
  if (scheme === 'file') return;
  const addresses = await lookup(host, { all: true }).catch((cause: NodeJS.ErrnoException) => {
    // Behind a proxy only the proxy may know names.
    if (!tryConnect) return [];
    throw refused(
      cause.code === 'EAI_AGAIN'
        ? `The name ${host} could not be looked up now: check this machine's DNS.`
        : `There is no host called ${host}: check the URL.`,
      cause,
    );
  });
  if (addresses.some(({ address }) => isBlockedAddress(address))) {
    throw refused(`${host} is a link-local or otherwise special address, from which nothing is fetched.`);
  }
  if (!tryConnect) return;
  await open(
    host,
    port,
    seconds,
    addresses.map(({ address }) => address),
  );
};

const open = (host: string, port: number, seconds: number, addresses: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      timeout: seconds * 1_000,
      // The very addresses that were checked.
      lookup: (_name, _options, done) =>
        done(
          null,
          addresses.map((address) => ({ address, family: isIPv4(address) ? 4 : 6 })),
        ),
      autoSelectFamily: true,
    });
    const end = (error?: PlatformError): void => {
      socket.destroy();
      if (error) reject(error);
      else resolve();
    };
    socket.once('connect', () => end());
    socket.once('timeout', () =>
      end(
        refused(
          `${host} port ${port} did not answer within ${seconds} s: check the URL, the server and the firewall.`,
        ),
      ),
    );
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const code =
        cause.code ??
        (cause instanceof AggregateError ? (cause.errors[0] as NodeJS.ErrnoException).code : undefined);
      const why =
        code === 'ECONNREFUSED'
          ? 'refuses connections: nothing listens there'
          : code === 'ETIMEDOUT'
            ? 'did not answer'
            : `cannot be reached (${code ?? 'unknown reason'})`;
      end(refused(`${host} port ${port} ${why}. Check the URL, the server and the firewall.`, cause));
    });
  });

const refused = (message: string, cause?: unknown): PlatformError =>
  new PlatformError('refused', message, { details: { reason: 'git_unreachable' }, cause });

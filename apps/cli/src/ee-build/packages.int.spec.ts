/** scripts/packages.sh where the package manager is dnf: Debian's own dnf, with a repository of packages made in the container. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eeImage, podman } from '../testing/podman.js';

const SCRIPT = `
set -e
exec 3>&1 >/dev/null 2>&1
apt-get update; DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends dnf rpm createrepo-c
mkdir -p /repo /etc/yum.repos.d /output/notes /output/lock; cd /tmp
make() {
  printf 'Name: %s\\nVersion: %s\\nRelease: 1\\nSummary: x\\nLicense: x\\nBuildArch: noarch\\n%s\\n%%description\\nx\\n%%files\\n' "$1" "$2" "$3" > one.spec
  rpmbuild -bb --define '_rpmdir /repo' one.spec
}
make hello 1.0 'Requires: libhello'
make hello 1.1 'Requires: libhello'
make libhello 1.0
createrepo_c /repo
printf '[here]\\nname=here\\nbaseurl=file:///repo\\ngpgcheck=0\\n' > /etc/yum.repos.d/here.repo
cp -r /scripts /output/scripts
packages() { sh /output/scripts/packages.sh "$@"; }
packages begin
packages install hello-1.0
packages record /tmp/first
cat /tmp/first >&3
dnf remove -y hello libhello
echo '== from the lock' >&3
cp /tmp/first /output/lock/packages
packages lock
packages install hello
rpm -qa | sort >&3
dnf remove -y hello libhello
echo '== gone' >&3
printf 'hello\\tnoarch\\t9-1\\n' > /output/lock/packages
packages install hello | grep '^gantry: ' >&3
`;

describe.skipIf(!eeImage)('packages by dnf', () => {
  it('are recorded, installed again from a lock, and named when they are gone', () => {
    const output = podman(
      ...[
        'run',
        '--rm',
        '--user=0',
        '-e',
        'HOME=/root',
        '-e',
        'PKGMGR=/usr/bin/dnf',
        '-e',
        'PYCMD=/usr/bin/python3',
      ],
      ...['-v', `${join(import.meta.dirname, 'scripts')}:/scripts:ro`, eeImage!, 'bash', '-c', SCRIPT],
    );
    expect(output).toBe(
      [
        'hello\tnoarch\t1.0-1',
        'libhello\tnoarch\t1.0-1',
        '== from the lock',
        'hello-1.0-1.noarch',
        'libhello-1.0-1.noarch',
        '== gone',
        'gantry: the system package hello-9-1.noarch cannot be had',
        '',
      ].join('\n'),
    );
  }, 300_000);
});

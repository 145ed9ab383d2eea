#!/bin/sh
# Start of the test host: take the key, make host keys, serve in the foreground.
set -eu
install -d -o ansible -g ansible -m 0700 /home/ansible/.ssh
if [ -n "${AUTHORIZED_KEY:-}" ]; then
  printf '%s\n' "$AUTHORIZED_KEY" > /home/ansible/.ssh/authorized_keys
elif [ -f /authorized_keys ]; then
  cat /authorized_keys > /home/ansible/.ssh/authorized_keys
else
  echo 'start-sshd: give the public key in AUTHORIZED_KEY or mount it at /authorized_keys' >&2
  exit 2
fi
chown ansible:ansible /home/ansible/.ssh/authorized_keys
chmod 0600 /home/ansible/.ssh/authorized_keys
install -d -m 0755 /run/sshd
ssh-keygen -A > /dev/null
exec /usr/sbin/sshd -D -e

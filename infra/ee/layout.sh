#!/bin/sh
# The user and the folders every Execution Environment has: layout.sh ROOT (the root of the image's tree).
# A job runs as uid 1000 with group 0 and everything of its own under /runner, which is its home: Ansible's local
# async looks for its files in the home of the passwd entry, so that and $HOME must be one folder.
set -eu
root=$1
if [ "$root" = / ]; then
  useradd --uid 1000 --gid 0 --home-dir /runner --no-create-home --shell /bin/bash runner
else
  chroot "$root" useradd --uid 1000 --gid 0 --home-dir /runner --no-create-home --shell /bin/bash runner
fi
# The root of a pod is read-only, so the places where volumes are mounted must exist.
install -d -o 1000 -g 0 -m 0775 "$root/runner"
install -d -m 0755 "$root/agent" "$root/run/gantry"

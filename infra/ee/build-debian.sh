#!/bin/sh
# Build the local Execution Environment from Debian's packages alone: no registry is needed.
#
#   build-debian.sh IMAGE
#
# Environment, given by `./gantry`:
#   WORK    an empty folder with `sources.list` (the machine's own mirrors) and `apt.conf` (its settings)
#   SUITE   the Debian release
#   ENGINE  podman or docker
#   AS_ROOT words before a command that the administrator shall run; empty: run it as ourselves
#   LABEL   key=value put on the image: the hash of this recipe
#
# One command a line and no `&&`: `set -e` does not see a failure in the middle of an and-list, and a broken image
# would get the tag.
set -eu

image=$1
here=$(cd "$(dirname "$0")" && pwd)
packages=$(sed -e 's/#.*//' "$here/packages.txt" | tr -s ' \n' ',,' | sed -e 's/^,//' -e 's/,$//')

set --
while IFS= read -r line; do
  set -- "$@" "--aptopt=${line%;}"
done < "$WORK/apt.conf"

# Manuals, translations and documentation are a fifth of the size and no job reads them.
# unsafe-io: dpkg need not flush every file to disk, the tree is packed and thrown away.
# shellcheck disable=SC2086 -- AS_ROOT is several words
${AS_ROOT:-} mmdebstrap --mode=auto --variant=apt --include="$packages" "$@" \
  --dpkgopt=force-unsafe-io \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="sh \"$here/layout.sh\" \"\$1\"" \
  "$SUITE" "$WORK/ee.tar" "$WORK/sources.list"

echo 'I: importing into the engine'
"$ENGINE" import \
  --change 'USER 1000' \
  --change 'WORKDIR /runner' \
  --change 'ENV HOME=/runner' \
  --change 'ENV LANG=C.UTF-8' \
  --change 'CMD ["bash"]' \
  --change "LABEL $LABEL" \
  "$WORK/ee.tar" "$image"

#!/bin/sh
# The distribution's packages of an execution environment that is being built: packages.sh COMMAND [ARGUMENT...]
#
#   install PACKAGE...  installs them, without what they only recommend, and leaves no lists behind
#   list                name, architecture and version of all that is installed, a package a line, separated by tabs
#   begin               notes what the base image has
#   record FILE         what differs from that, with the SHA-256 that the archive names
#   lock                holds apt to the lock (/output/lock); names what the archive cannot give any more
#   ensure-python       is there a Python?
#   ensure-pip          makes pip be there
#
# PKGMGR and PYCMD come from the Containerfile. A line that begins with "gantry: " is for the person who builds.
set -eu

case $(basename "$PKGMGR") in
  apt-get | apt) family=dpkg ;;
  *) family=rpm ;;
esac
tab=$(printf '\t')

refuse() {
  echo "gantry: $1"
  exit 1
}

[ -x "$PKGMGR" ] || refuse "the base image has no $PKGMGR: name its package manager in options.package_manager_path (/usr/bin/apt-get on Debian)"

update() {
  [ $family = rpm ] || apt-get -o APT::Update::Error-Mode=any update -qq
}

clean() {
  [ -z "${PKGMGR_PRESERVE_CACHE:-}" ] || return 0
  if [ $family = dpkg ]; then
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/cache/ldconfig/aux-cache
  else
    "$PKGMGR" clean all
    rm -rf /var/cache/dnf /var/cache/yum /var/lib/dnf/history*
  fi
}

list() {
  if [ $family = dpkg ]; then
    # shellcheck disable=SC2016 -- dpkg fills these in
    dpkg-query -W -f '${db:Status-Status}\t${Package}\t${Architecture}\t${Version}\n' | sed -n "s/^installed$tab//p" | LC_ALL=C sort
  else
    rpm -qa --qf '%{NAME}\t%{ARCH}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' | grep -v '^gpg-pubkey' | LC_ALL=C sort
  fi
}

# What differs from the base image, in /tmp/new.
fresh() {
  list > /tmp/now
  LC_ALL=C comm -13 /output/base-packages /tmp/now > /tmp/new
  rm -f /tmp/now
}

# Which of the lines NAME ARCH VERSION of a file does the archive not have, or with another hash? Prints all with the hash known.
archive() {
  if [ $family = rpm ]; then
    cat "$1"
    return
  fi
  # An unknown version makes apt-cache fail after it has shown the others.
  while IFS="$tab" read -r name architecture version _; do
    echo "$name:$architecture=$version"
  done < "$1" | sed 's/:all=/=/' | xargs -r apt-cache show 2> /dev/null > /tmp/archive || true
  awk -v FS='\t' -v OFS='\t' '
    NR == FNR {
      if (match($0, /^[A-Za-z0-9-]+: /)) { key = substr($0, 1, RLENGTH - 2); field[key] = substr($0, RLENGTH + 1) }
      if ($0 == "") { keep() }
      next
    }
    FNR == 1 { keep() }
    { print $1, $2, $3, hash[$1 "=" $2 "=" $3] }
    function keep() { if ("Package" in field) hash[field["Package"] "=" field["Architecture"] "=" field["Version"]] = field["SHA256"]; split("", field) }
  ' /tmp/archive "$1"
  rm -f /tmp/archive
}

case $1 in
  list) list ;;
  begin)
    mkdir -p /output/notes
    list > /output/base-packages
    [ ! -x "$PYCMD" ] || "$PYCMD" /output/scripts/builder.py snapshot
    ;;
  ensure-python)
    [ -x "$PYCMD" ] || refuse "there is no $PYCMD: name a package in dependencies.python_interpreter.package_system"
    ;;
  install)
    shift
    [ $# -gt 0 ] || exit 0
    update
    if [ $family = dpkg ]; then
      # With a lock the versions are pinned in /etc/apt/preferences.d; the archive may have newer ones by now.
      DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --allow-downgrades -- "$@"
    else
      # dnf cannot be pinned for a while: all that the lock names is installed at once, so that nothing newer comes along.
      if [ -s /output/lock/packages ]; then
        # shellcheck disable=SC2046 -- names of packages hold no blanks
        set -- $(for one in "$@"; do grep -q "^$one$tab" /output/lock/packages || echo "$one"; done) \
          $(awk -F "$tab" '{ print $1 "-" $3 "." $2 }' /output/lock/packages)
      fi
      weak=install_weak_deps=False
      [ "$(basename "$PKGMGR")" != microdnf ] || weak=install_weak_deps=0
      "$PKGMGR" install -y "--setopt=$weak" --setopt=tsflags=nodocs "$@" > /tmp/said 2>&1 || {
        cat /tmp/said
        sed -n -e 's/^No match for argument: \(.*\)/\1/p' -e "s/^.*No package matches '\(.*\)'.*/\1/p" /tmp/said | sort -u |
          sed 's/.*/gantry: the system package & cannot be had/'
        exit 1
      }
      cat /tmp/said
      rm -f /tmp/said
    fi
    # The hashes are noted while the archive's lists are here.
    fresh
    archive /tmp/new > /output/notes/archive
    rm -f /tmp/new
    clean
    ;;
  record)
    fresh
    [ -f /output/notes/archive ] || : > /output/notes/archive
    cut -f 1-3 /output/notes/archive | cmp -s - /tmp/new || {
      # A step of the definition's own has installed something.
      [ ! -s /tmp/new ] || update
      archive /tmp/new > /output/notes/archive
      clean
    }
    cp /output/notes/archive "$2"
    rm -f /tmp/new
    ;;
  lock)
    # Of rpm the package manager itself says what is missing.
    [ -s /output/lock/packages ] && [ $family = dpkg ] || exit 0
    cp /output/lock/preferences /etc/apt/preferences.d/gantry-lock
    update
    archive /output/lock/packages > /tmp/found
    LC_ALL=C comm -23 /output/lock/packages /tmp/found > /tmp/missing || true
    while IFS="$tab" read -r name architecture version hash; do
      [ -n "$name" ] || continue
      there=$(grep -F "$name$tab$architecture$tab$version$tab" /tmp/found | cut -f 4)
      if [ -n "$there" ]; then
        echo "gantry: the archive's $name $version has the SHA-256 $there; locked is $hash"
      else
        echo "gantry: the system package $name $version ($architecture) of the lock cannot be had any more"
      fi
    done < /tmp/missing
    [ ! -s /tmp/missing ] || exit 1
    rm -f /tmp/found /tmp/missing
    clean
    ;;
  ensure-pip)
    "$PYCMD" -m pip --version > /dev/null 2>&1 && exit 0
    # Debian takes ensurepip out of its Python.
    if [ $family = dpkg ]; then sh "$0" install python3-pip; else "$PYCMD" -m ensurepip; fi
    ;;
  *) refuse "packages.sh knows no $1" ;;
esac

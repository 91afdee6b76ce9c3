#!/bin/sh
# Debian's cloud kernels, out of their packages, into folders below $1: that of this release, and 6.12 of bookworm's
# backports where this release is older. What the registry does not offer is left out.
set -u
mkdir -p "$1" && cd "$1" || exit 1
lists=$PWD/.apt; mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial"
echo 'deb http://deb.debian.org/debian bookworm-backports main' > "$lists/backports.list"
backports="-o Dir::Etc::SourceList=$lists/backports.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$lists/lists -o Dir::Cache=$lists/cache"

take() { # FOLDER APT-OPTIONS
    folder=$1; shift
    [ ! -d "$folder/boot" ] || return
    package=$(apt-cache "$@" depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$package" ] && (cd "$lists" && apt-get "$@" download -q "$package") && mkdir -p "$folder" && dpkg -x "$lists/$package"_*.deb "$folder"
}

take release -o Acquire::Retries=2
# shellcheck disable=SC2086 # one word for each option
apt-get $backports update -qq && take backports $backports
exit 0

#!/bin/sh
# Debian's cloud kernels, out of their packages, into folders below $1: that of this release, the one of its backports,
# and this release's for arm64 with a busybox, from the archive that apt is configured with. What the archive does not
# offer is left out.
set -u
mkdir -p "$1" && cd "$1" || exit 1
lists=$PWD/.apt; mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial"

take() { # FOLDER ARCHITECTURE APT-OPTIONS
    folder=$1; image=linux-image-cloud-$2; shift 2
    [ ! -d "$folder/boot" ] || return 0
    package=$(apt-cache "$@" depends "$image" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$package" ] && (cd "$lists" && apt-get "$@" download -q "$package") && mkdir -p "$folder" && dpkg -x "$lists/$package"_*.deb "$folder"
}

take release amd64 -o Acquire::Retries=2

mkdir -p "$lists/arm64/lists/partial" "$lists/arm64/cache/archives/partial" && : > "$lists/arm64/status"
set -- -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::status="$lists/arm64/status" \
    -o Dir::State::Lists="$lists/arm64/lists" -o Dir::Cache="$lists/arm64/cache"
if [ ! -e arm64/bin/busybox ] && apt-get "$@" update -qq && take arm64 arm64 "$@"; then
    (cd "$lists/arm64" && apt-get "$@" download -q busybox-static) && dpkg -x "$lists"/arm64/busybox-static_*.deb arm64
fi
# shellcheck disable=SC2016 # apt's names
apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Label: Debian' | awk '$2 !~ /-/ { print; exit }' |
    while read -r archive release; do
        echo "deb $archive $release-backports main" > "$lists/backports.list"
        set -- -o Dir::Etc::SourceList="$lists/backports.list" -o Dir::Etc::SourceParts=/dev/null \
            -o Dir::State::Lists="$lists/lists" -o Dir::Cache="$lists/cache"
        apt-get "$@" update -qq && take backports amd64 "$@"
    done
exit 0

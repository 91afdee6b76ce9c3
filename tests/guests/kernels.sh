#!/bin/sh
# Debian's cloud kernels, out of their packages, into folders below $1: that of this release, and the one of its
# backports, from the archive that apt is configured with. What the archive does not offer is left out.
set -u
mkdir -p "$1" && cd "$1" || exit 1
lists=$PWD/.apt; mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial"

take() { # FOLDER APT-OPTIONS
    folder=$1; shift
    [ ! -d "$folder/boot" ] || return
    package=$(apt-cache "$@" depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$package" ] && (cd "$lists" && apt-get "$@" download -q "$package") && mkdir -p "$folder" && dpkg -x "$lists/$package"_*.deb "$folder"
}

take release -o Acquire::Retries=2
# shellcheck disable=SC2016 # apt's names
apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Label: Debian' | awk '$2 !~ /-/ { print; exit }' |
    while read -r archive release; do
        echo "deb $archive $release-backports main" > "$lists/backports.list"
        set -- -o Dir::Etc::SourceList="$lists/backports.list" -o Dir::Etc::SourceParts=/dev/null \
            -o Dir::State::Lists="$lists/lists" -o Dir::Cache="$lists/cache"
        apt-get "$@" update -qq && take backports "$@"
    done
exit 0

#!/usr/bin/env bash
# Fetches real restic from Debian's packages into a folder, without installing anything: 0.14 from bookworm, 0.18 from
# trixie, the newest from sid. Mirror and keyring are those of this machine's own apt configuration.
# usage: restic-binaries.sh [DIR]   (default: $RESTIC_BIN_DIR, else .cache/restic)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
target=${1:-${RESTIC_BIN_DIR:-$root/.cache/restic}}
mkdir -p "$target"

sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
mirror=$(printf '%s\n' "$sources" | grep -oE 'https?://[^ ]*/debian/?( |$)' | head -n 1 | tr -d ' ')
mirror=${mirror:-http://deb.debian.org/debian}
keyring=$(printf '%s\n' "$sources" | grep -oE '/[^] ]*debian-archive-keyring[^] ]*' | head -n 1)
keyring=${keyring:-/usr/share/keyrings/debian-archive-keyring.gpg}

fetch() { # SUITE NAME
  local suite=$1 name=$2 work
  if [ -x "$target/restic-$name" ]; then
    echo "restic-$name: $("$target/restic-$name" version) (cached)"
    return
  fi
  work=$(mktemp -d)
  chmod 755 "$work"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/sources.list"
  local options=(-qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$work" && apt-get "${options[@]}" download restic && dpkg -x restic_*.deb unpacked)
  cp "$work/unpacked/usr/bin/restic" "$target/restic-$name"
  rm -rf "$work"
  echo "restic-$name: $("$target/restic-$name" version)"
}

fetch bookworm 0.14.0
fetch trixie 0.18.0
fetch sid 0.19.1

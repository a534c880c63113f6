#!/usr/bin/env bash
# Fetches real restic and rclone from Debian's packages into a folder, without installing anything: restic 0.14 from
# bookworm, 0.18 from trixie, the newest from sid, and rclone from sid. Mirror and keyring are those of this machine's
# own apt configuration.
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

first_line() { # COMMAND...: what it prints first, all of it read so that nobody sees a broken pipe
  "$@" | sed -n 1p
}

fetch() { # SUITE PROGRAM FILE
  local suite=$1 program=$2 file=$3 work
  if [ -x "$target/$file" ]; then
    echo "$file: $(first_line "$target/$file" version) (cached)"
    return
  fi
  work=$(mktemp -d)
  chmod 755 "$work"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/sources.list"
  local options=(-qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$work" && apt-get "${options[@]}" download "$program" && dpkg -x "$program"_*.deb unpacked)
  cp "$work/unpacked/usr/bin/$program" "$target/$file"
  rm -rf "$work"
  echo "$file: $(first_line "$target/$file" version)"
}

fetch bookworm restic restic-0.14.0
fetch trixie restic restic-0.18.0
fetch sid restic restic-0.19.1
fetch sid rclone rclone

#!/usr/bin/env bash
# Tries the built command (dist) and the tests that touch Node most on this Node and on newer ones, which npm fetches
# into .cache/node: once as installed, and once without zstd-napi, as where it could not be compiled. Prints a line for
# each trial and ends with 1 where one failed.
# usage: node-smoke.sh [MAJOR...]   (default: 24 26)
set -uo pipefail
cd "$(dirname "$0")/../.."
project=$PWD
versions=("${@:-24}")
[ $# -gt 0 ] || versions=(24 26)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# The same build beside all packages but zstd-napi.
mkdir -p "$work/bare/node_modules"
cp -r dist package.json "$work/bare/"
for entry in node_modules/* node_modules/.bin; do
  [ "$entry" = node_modules/zstd-napi ] || ln -s "$project/$entry" "$work/bare/node_modules/"
done
# What is backed up: a copy, so that nothing changes while it is compared.
cp -r src test/support "$work/"

trial() { # NAME COMMAND...
  local name=$1 log="$work/log" start=$SECONDS
  shift
  if "$@" >"$log" 2>&1; then
    echo "ok      $name ($((SECONDS - start)) s)"
  else
    echo "FAILED  $name"
    tail -n 40 "$log" | sed 's/^/        /'
    failures=$((failures + 1))
  fi
}

install_node() { # MAJOR
  local prefix=$project/.cache/node/$1
  [ -x "$prefix/node_modules/node/bin/node" ] ||
    npm install --prefix "$prefix" --no-save --no-audit --no-fund --loglevel error "node@$1"
  "$prefix/node_modules/node/bin/node" --version
}

# Makes a repository, backs up the project's sources, checks, restores and compares.
round_trip() { # NODE DIST
  local node=$1 bin=$2/dist/cli/bin.js trial
  trial=$(mktemp -d -p "$work")
  export RESTIC_REPOSITORY=$trial/repository RESTIC_PASSWORD=smoke
  (
    cd "$work" &&
      "$node" "$bin" init &&
      "$node" "$bin" backup src support &&
      "$node" "$bin" check --read-data &&
      "$node" "$bin" restore latest --target "$trial/out" &&
      diff -r src "$trial/out/src" &&
      diff -r support "$trial/out/support"
  )
}

# Without any zstd a repository can be made, but nothing be written: that must be said, and how to mend it.
clear_error() { # NODE DIST
  local node=$1 bin=$2/dist/cli/bin.js status=0
  export RESTIC_REPOSITORY=$work/no-zstd RESTIC_PASSWORD=smoke
  "$node" "$bin" version && "$node" "$bin" init || return 1
  "$node" "$bin" backup "$work/src" 2>"$work/error" || status=$?
  cat "$work/error"
  [ "$status" = 1 ] && [ "$(wc -l <"$work/error")" -le 3 ] &&
    grep -q 'no zstd implementation can be loaded' "$work/error" && grep -q 'npm rebuild zstd-napi' "$work/error"
}

try_node() { # NODE
  local node=$1 version
  version=$("$node" --version)
  trial "$version: init, backup, check, restore" round_trip "$node" "$project"
  if "$node" -e 'process.exit(typeof require("zlib").zstdCompressSync === "function" ? 0 : 1)'; then
    trial "$version without zstd-napi: init, backup, check, restore" round_trip "$node" "$work/bare"
  else
    trial "$version without zstd-napi: a clear error" clear_error "$node" "$work/bare"
  fi
}

try_node "$(command -v node)"
for major in "${versions[@]}"; do
  trial "node $major installed" install_node "$major"
  node=$project/.cache/node/$major/node_modules/node/bin/node
  [ -x "$node" ] || continue
  try_node "$node"
  # What the commands print beside restic's does not depend on Node.
  trial "$("$node" --version): tests" "$node" node_modules/vitest/vitest.mjs run \
    test/crypto test/repo/format test/cli --exclude test/cli/like-restic.test.ts
done
[ "$failures" = 0 ]

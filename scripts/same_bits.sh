#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Whether a change of structure left the numbers alone: builds tests/same_bits of another commit and of what is checked
# out, runs both and compares the sha256 of a history file, of weights trained with float and with bfloat16 products, and
# of 1000 greedy outputs of each model.
#   scripts/same_bits.sh COMMIT
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
(($# == 1)) || { echo "usage: scripts/same_bits.sh COMMIT" >&2; exit 2; }
need "${build_tools[@]}" "${libraries[@]}" git
commit=$(git rev-parse --verify "$1^{commit}")
out=$root/out/same_bits

# build_and_run TREE NAME
build_and_run() {
  mkdir -p "$out/$2"
  "${CXX:-g++}" -std=c++20 -O3 -march=native -DNDEBUG -DFMT_HEADER_ONLY -I"$1/include" -I"$1/examples" \
    -isystem /usr/include/eigen3 "$1/tests/same_bits/same_bits.cpp" -o "$out/$2/same_bits" -pthread
  rm -rf "$out/$2/files"
  "$out/$2/same_bits" "$out/$2/files" >"$out/$2/log" 2>&1 || { cat "$out/$2/log"; return 1; }
  (cd "$out/$2/files" && sha256sum ./*) >"$out/$2/sums"
}

before=$out/before/tree
mkdir -p "$out/before"
git worktree prune
if [[ ! -e $before/.git ]]; then # without it, git would take the repository around it
  rm -rf "$before"
  git worktree add -q --detach "$before" "$commit"
fi
git -C "$before" checkout -q --detach "$commit"
build_and_run "$before" before
build_and_run "$root" after
say "$commit (before) and what is checked out (after)"
cat "$out/after/sums"
diff "$out/before/sums" "$out/after/sums" && echo "the same bits"

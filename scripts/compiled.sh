#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# icrl::compiled: its tests, and one portable program that gives the same bits as the headers compiled for each target, on
# this CPU and on older ones by qemu, and a clear error on one that is too old. Then what its objects show to the linker,
# a project that finds it installed, and its speed against the headers compiled for this CPU.
#   scripts/compiled.sh [PAIRS]     pairs of runs to compare the speed by; by default 3
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
pairs=${1:-3}
[[ $(uname -m) == x86_64 ]] || { echo "$0: left out: the levels are those of x86-64" && exit "$not_done"; }
need "${build_tools[@]}" "${libraries[@]}" catch2 binutils qemu-user
folder=$root/build/compiled

say "builds"
cmake -S tests/compiled -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$folder" -j "$(job_count)"

say "tests"
"$folder/test_compiled"

# The mathematical functions of the C library give other bits on other CPUs, so both programs run on the same one.
say "the same bits as the headers"
same_bits() { # WHERE COMMAND...
  local where=$1 target line output
  shift
  if ! output=$("$@" "$folder/portable" 2>/dev/null) || [[ -z $output ]]; then
    echo "$where: failed"
    return 1
  fi
  while read -r line; do
    target=${line%% *}
    [[ $("$@" "$folder/headers_$target" 2>/dev/null) == "$line" ]] || { echo "$where, $target: other bits" && return 1; }
    echo "$where, $line"
  done <<<"$output"
}
same_bits "this CPU" env
for cpu in Nehalem Haswell; do
  same_bits "$cpu by qemu" qemu-x86_64 -cpu "$cpu"
done
"$folder/portable_native" >/dev/null # files for another target than the library's link and run
[[ $(qemu-x86_64 -cpu Nehalem "$folder/portable" 2>/dev/null | wc -l) == 1 ]]
[[ $(qemu-x86_64 -cpu Haswell "$folder/portable" 2>/dev/null | wc -l) == 2 ]]
[[ $(qemu-x86_64 -cpu Haswell,-abm "$folder/portable" 2>/dev/null | wc -l) == 1 ]] # no LZCNT, which v3 has
if qemu-x86_64 -cpu qemu64 "$folder/portable" 2>"$folder/errors"; then exit 1; fi
grep 'this CPU is too old' "$folder/errors"

say "what the linker sees"
for object in "$folder"/icrl/compiled/*.o; do
  name=$(basename "$object" .o)
  others=$(nm --defined-only -g "$object" | awk '{ print $3 }' | grep -vE "^(icrl_build_$name|_ZT[IS].*)\$" || true)
  [[ -z $others ]] || { printf '%s: visible: %s\n' "$object" "$others" && exit 1; }
  if readelf -SW "$object" | grep -q init_array; then echo "$object: would run before main" && exit 1; fi
  echo "$name: nothing but its entry and type information; nothing runs before main"
done

say "installed"
cmake --install "$folder" --prefix "$folder/installed" >/dev/null
cmake -S tests/compiled/find_package -B "$folder/find_package" -DCMAKE_PREFIX_PATH="$folder/installed" >/dev/null
cmake --build "$folder/find_package"
"$folder/find_package/portable"

say "speed, as a share of the headers compiled with -march=native: training and acting at three shapes"
for ((i = 0; i < pairs; ++i)); do
  "$folder/rate_headers"
  "$folder/rate_compiled"
done | tee "$folder/rates"
awk '
  NR % 2 { for (i = 1; i <= NF; ++i) before[i] = $i; next }
  { for (i = 1; i <= NF; ++i) ratio[i, NR / 2] = $i / before[i]; columns = NF }
  END {
    n = NR / 2
    for (i = 1; i <= columns; ++i) {
      for (a = 1; a <= n; ++a) sorted[a] = ratio[i, a]
      for (a = 1; a <= n; ++a) for (b = a + 1; b <= n; ++b) if (sorted[b] < sorted[a]) { t = sorted[a]; sorted[a] = sorted[b]; sorted[b] = t }
      printf "%s, shape %d: median %.3f, %.3f to %.3f\n", i % 2 ? "training" : "acting", int((i + 1) / 2), sorted[int((n + 1) / 2)], sorted[1], sorted[n]
    }
  }' "$folder/rates"

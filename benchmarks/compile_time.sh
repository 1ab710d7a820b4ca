#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# Seconds and peak memory of compiling the demo (examples/020_distil_dark_room.cpp) at -O3, in turns with a file that
# only includes what icrl is built on, Eigen/Dense and fmt. Prints lines of JSON, as the benchmark programs do.
#   benchmarks/compile_time.sh [--rounds 3]           compiler: $CXX (default g++)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
# shellcheck source=support/rounds.sh
source benchmarks/support/rounds.sh
rounds=3

while (($#)); do
  case $1 in
    --rounds) whole_number "$@"; rounds=$2; shift ;;
    -h | --help) sed -n '4,6s/^# //p' "$0"; exit ;;
    *) fail_usage "unknown option $1" ;;
  esac
  shift
done
time=$(type -P time || true)  # the program: the shell's keyword knows nothing of memory
[[ -x $time ]] || { echo "compile_time.sh: the program time is missing; install it with: apt-get install time" >&2; exit 3; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '#include <Eigen/Dense>\n#include <fmt/format.h>\nint main() {}\n' >"$folder/base.cpp"
eigen=$(sed -n 's/^Eigen3_DIR:[A-Z]*=\(.*\)\/share\/eigen3\/cmake$/\1\/include\/eigen3/p' "${BUILD:-build/bench}/CMakeCache.txt" 2>/dev/null || true)
flags=(-std=c++20 -O3 -march=native -Iinclude -Iexamples "-I${eigen:-/usr/include/eigen3}")

# Prints a measurement's line: compile WHO SOURCE
compile() {
  local seconds kilobytes
  "$time" -f '%e %M' -o "$folder/cost" "${CXX:-g++}" "${flags[@]}" -c "$2" -o "$folder/object.o"
  read -r seconds kilobytes <"$folder/cost"
  printf '{"name": "extra_compile_020_distil_dark_room", "who": "%s", "value": %s, "unit": "s", "peak_mb": %s}\n' \
    "$1" "$seconds" "$((kilobytes / 1000))"
}

for ((round = 1; round <= rounds; ++round)); do
  compile icrl examples/020_distil_dark_room.cpp
  compile "Eigen and fmt alone" "$folder/base.cpp"
done

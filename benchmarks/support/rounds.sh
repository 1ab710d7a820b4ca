# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scripts of the benchmarks share; they source it from the repository's root. BUILD and OUT name the folders of
# the build and of what is written.
build=${BUILD:-build/bench} out=${OUT:-out}
# shellcheck disable=SC2034  # for those who source this, who may name another file for raw lines
bin=$build/benchmarks raw=$out/bench_raw.jsonl

fail_usage() {
  echo "$(basename "$0"): $* (see $(basename "$0") --help)" >&2
  exit 2
}

# whole_number OPTION VALUE, as "$@" has them
whole_number() {
  [[ ${2-} =~ ^[1-9][0-9]*$ ]] || fail_usage "$1 wants a whole number from 1, not \"${2-}\""
}

# positive_number OPTION VALUE
positive_number() {
  [[ ${2-} =~ ^[0-9]*\.?[0-9]+$ && ${2-} =~ [1-9] ]] || fail_usage "$1 wants a number above 0, not \"${2-}\""
}

warn_if_busy() {
  local load
  load=$(cut -d' ' -f1 /proc/loadavg)
  if awk "BEGIN { exit !($load > 0.5) }"; then
    echo "$(basename "$0"): the machine is busy (load $load): spreads will be wide and ratios unsure" >&2
  fi
}

build_benchmarks() {
  cmake --preset bench -B "$build" >/dev/null
  cmake --build "$build" --target icrl_benchmarks -j "$(nproc)"
  mkdir -p "$out"
}

# Appends what a program prints to the file that `raw` names; a peer that is not installed says so with status 3 and is
# left out. With `prefix` set the measurement's name starts with it.
prefix=
record() {
  local status=0
  "$@" 2>"$out/bench_errors.txt" >"$out/bench_line.txt" || status=$?
  sed -E "s/(\"name\": *\")(extra_)?/\1${prefix:-\2}/" "$out/bench_line.txt" >>"$raw"
  if ((status == 3)); then cat "$out/bench_errors.txt" >&2; fi
  if ((status != 0 && status != 3)); then
    echo "$(basename "$0"): failed with status $status: $*" >&2
    cat "$out/bench_errors.txt" >&2
    exit 1
  fi
}

# Appends the lines of the last program once more, for a measurement whose name has a prefix.
copy_as() { sed "s/\"name\": *\"/&$1/" "$out/bench_line.txt" >>"$raw"; }

say() { [[ ! -t 2 ]] || printf '\r\033[K%s' "$*" >&2; }

# Sets `about` to the options that tell a page where it comes from: about_this_run COMMAND
about_this_run() {
  local compiler commit
  compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
  if commit=$(git rev-parse --short HEAD 2>/dev/null); then
    # The pages that a run writes do not count.
    git diff --quiet HEAD -- . ':!benchmarks/RESULTS.md' ':!docs/results' || commit+=-dirty
  fi
  # shellcheck disable=SC2034
  about=(--about "Machine=$(awk -F': *' '/^model name/ {print $2; exit}' /proc/cpuinfo), $(nproc) cores"
    --about "Compiler=$("$compiler" --version | head -n 1)"
    --about "Commit=${commit:-unknown}"
    --about "Command=$*")
}

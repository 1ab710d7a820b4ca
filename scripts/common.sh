# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the scripts of this folder share; they source it. Leaves the shell in the repository's root.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# The exit status of a check that could not be done here.
# shellcheck disable=SC2034  # for those who source this
not_done=77

say() { printf '\n== %s\n' "$*"; }

# Installs those of the named Debian packages that are missing. Asks nothing: without the right to install, it prints
# the one line that an administrator has to run, and ends.
need() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "$0: no apt-get here; what has to be installed is what Debian calls: $*" >&2
    return
  fi
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0

  local as_root=()
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      echo "$0: missing packages, and no right to install them. Please run" >&2
      echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo -n)
  fi
  say "installing ${missing[*]}"
  local apt_get=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
  local begin=$SECONDS
  "${apt_get[@]}" update
  "${apt_get[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
  echo "installed in $((SECONDS - begin)) s"
}

# shellcheck disable=SC2034  # for those who source this
build_tools=(g++ cmake make ninja-build)
# shellcheck disable=SC2034
libraries=(libeigen3-dev libfmt-dev nlohmann-json3-dev)

# Two gigabytes for each compiler, so that a small machine does not run out.
job_count() {
  local memory
  memory=$(awk '/^MemAvailable/ {print int($2 / 2000000)}' /proc/meminfo)
  echo $((memory < 1 ? 1 : memory < $(nproc) ? memory : $(nproc)))
}

# configure PRESET [CMAKE ARGUMENTS]: Ninja where it is installed; a folder that was made by another generator stays with it.
configure() {
  local preset=$1
  shift
  if [[ -z ${CMAKE_GENERATOR:-} && ! -e build/$preset/CMakeCache.txt ]] && command -v ninja >/dev/null; then
    export CMAKE_GENERATOR=Ninja
  fi
  cmake --preset "$preset" "$@" >/dev/null
}

# build PRESET [TARGETS]
build() {
  local preset=$1
  shift
  cmake --build "build/$preset" -j "$(job_count)" ${1:+--target "$@"}
}

# make_root SUITE FOLDER: a bare Debian of that release with git in it, unless the folder holds one. Needs root.
# Packages come from where this machine's apt gets its own.
make_root() {
  local suite=$1 folder=$2 own_suite mirror
  if [[ ! -e $folder/etc/debian_version || -e $folder/debootstrap ]]; then # the last one: it was interrupted
    own_suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016  # apt's own dollars
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
      awk -v suite="$own_suite" '$2 == suite { print $1; exit }')
    [[ -n $mirror ]] || { echo "$0: apt has no mirror of $own_suite" >&2; return 1; }
    need debootstrap
    say "a bare $suite in $folder"
    [[ ! -e $folder/debootstrap ]] || rm -rf --one-file-system "$folder"
    mkdir -p "$folder"
    debootstrap --variant=minbase --include=git "$suite" "$folder" "$mirror" >/dev/null || return 1
  fi
  # What lets apt reach its mirror here (a proxy, a frozen copy) has to hold there too.
  { grep -lr '^ *Acquire::' /etc/apt/apt.conf.d || true; } | xargs -r cp -t "$folder/etc/apt/apt.conf.d"
  cp -L /etc/resolv.conf "$folder/etc/resolv.conf"
}

# in_root FOLDER PROGRAM [ARGUMENTS]: runs it in that root with this repository at the same path. Its mounts are its own
# and end with it.
in_root() {
  local folder=$1
  shift
  mkdir -p "$folder$root"
  # shellcheck disable=SC2016  # the inner shell's dollars
  unshare --mount bash -c 'set -e
    folder=$1 root=$2
    shift 2
    mount --rbind --make-rslave /dev "$folder/dev"
    mount -t proc proc "$folder/proc"
    mount --bind "$root" "$folder$root"
    exec chroot "$folder" /usr/bin/env -C "$root" PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
  ' in_root "$folder" "$root" "$@"
}

# header_folder FOLDER: the packaged libraries that are headers alone, for a compiler of another processor, which must not
# see the other headers beside them.
header_folder() {
  local library
  mkdir -p "$1"
  for library in fmt nlohmann catch2 CLI; do
    [[ ! -d /usr/include/$library ]] || ln -sfn "/usr/include/$library" "$1/$library"
  done
}

# train_integers FOLDER: an integer model that this machine trains, FOLDER/integers.safetensors. FOLDER/expected is what it
# gives here over 10,000 steps, at every level of this CPU and by both compilers.
train_integers() {
  local flags=(-std=c++20 -O2 -pthread -Iinclude -Itests -isystem /usr/include/eigen3) compiler
  mkdir -p "$1"
  g++ "${flags[@]}" tests/exchange/exchange.cpp -o "$1/exchange" -lfmt
  "$1/exchange" write "$1"
  for compiler in g++ 'g++ -march=native' clang++; do
    # shellcheck disable=SC2086  # a compiler and its flags
    $compiler "${flags[@]}" tests/exchange/integer_model.cpp -o "$1/integer_model" -lfmt
    echo "$compiler, this machine"
    "$1/integer_model" "$1/integers.safetensors" 10000 >"$1/found"
    [[ $compiler != g++ ]] || cp "$1/found" "$1/expected"
    cmp "$1/found" "$1/expected"
  done
}

# ---- what ran where ----
# Long checks leave their last outcomes here, with what they were found for: hours of work can be spread over days and
# over machines that each run what their processor can. Lines "part, name, sources, outcome, seconds, text, processor".
kept_in=${ICRL_KEPT_IN:-docs/results/targets.tsv}

# state_of SOURCE...: a name for what is compiled for these sources and how. Neither a comment nor a header that none of
# them includes undoes hours of work.
state_of() {
  local file files
  files=$(printf '#include "%s"\n' "$@" |
    g++ -std=c++20 -Iinclude -Itests -Iexamples -isystem /usr/include/eigen3 -MM -x c++ - | sed 's/\\$//' | tr -s ' ' '\n' |
    grep -E '^(include|tests|examples)/' | sed 's|.*\.\./||' | sort -u) || {
    echo "$0: cannot tell what $* include" >&2
    return 1
  }
  {
    for file in $files; do
      echo "$file"
      g++ -w -fpreprocessed -dD -E -P -x c++ "$file"
    done
    grep '^set(icrl_warnings' cmake/dev.cmake
    grep -v '^ *#' scripts/build_target.sh
  } | sha1sum | cut -c1-10
}

# has_feature FEATURE: whether this processor has it; named as in /proc/cpuinfo.
has_feature() { grep -qm1 "^flags.*\b$1\b" /proc/cpuinfo; }

# This processor, and those of its features that decide between our kernels.
processor() {
  local feature
  awk -F ': ' '/^model name/ { name = $2 } /^cpu family/ { family = $2 } /^model\t/ { model = $2 }
    END { printf "%s, family %s, model %s,", name, family, model }' /proc/cpuinfo
  for feature in avx avx2 fma avx512f avx512dq avx512vl avx512_vnni avx512_bf16; do
    ! has_feature "$feature" || printf ' %s' "$feature"
  done
  echo
}

# keep PART NAME SOURCES OUTCOME SECONDS [TEXT]: in place of what was kept under that name. Several may do this at once.
keep() {
  mkdir -p out/targets
  (
    flock 9
    touch "$kept_in"
    awk -F '\t' -v part="$1" -v name="$2" '!($1 == part && $2 == name)' "$kept_in" >"$kept_in.new"
    printf '%s\t' "$1" "$2" "$3" "$4" "$5" "${6:-}" >>"$kept_in.new"
    processor >>"$kept_in.new"
    LC_ALL=C sort -o "$kept_in.new" "$kept_in.new"
    mv "$kept_in.new" "$kept_in"
  ) 9>out/targets/lock
}

# kept PART NAME SOURCES: the outcome for these sources; empty where there is none.
kept() {
  awk -F '\t' -v part="$1" -v name="$2" -v sources="$3" '$1 == part && $2 == name && $3 == sources { print $4 }' "$kept_in"
}

# What git calls this working tree; outcomes that were just kept do not make it another one.
commit_here() {
  local commit
  commit=$(git describe --always 2>/dev/null) || { echo unknown; return; }
  git diff --quiet HEAD -- . ":!$kept_in" || commit+=-dirty
  echo "$commit"
}

# record NAME OUTCOME [TEXT]: the outcome of a check as a whole.
record() { keep check "$1" "$(commit_here)" "$2" 0 "${3:-}"; }

# The state_of a fuzz target.
fuzz_state_of() {
  local header
  header=$(sed -n "s/^icrl_add_fuzzer($1 \([^ ]*\) .*/\1/p" tests/fuzz/CMakeLists.txt)
  state_of "tests/fuzz/$header"
}

# without_warnings COMMAND...: runs it, and fails where it prints a compiler's warning, too.
without_warnings() {
  local log status=0
  log=$(mktemp)
  "$@" 2>&1 | tee "$log" || status=$?
  if grep -q 'warning:' "$log"; then
    echo "$0: $1 printed warnings" >&2
    status=1
  fi
  rm -f "$log"
  return "$status"
}

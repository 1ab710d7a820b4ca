# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the scripts of this folder share; they source it. Leaves the shell in the repository's root.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

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

#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Builds and runs a consumer of the library in each of the ways that users have; with a PREFIX, the library that is
# installed there. Without pkg-config, that way is left out, and the exit status is 77 if it was the only one.
#   [CXX=c++] [PREFIX=/usr] check.sh REPOSITORY EMPTY_FOLDER [find_package|pkg_config|add_subdirectory|fetch_content]
set -euo pipefail
repository=$(cd "$1" && pwd)
work=$2
ways=("${@:3}")
[[ ${#ways[@]} -gt 0 ]] || ways=(find_package pkg_config add_subdirectory fetch_content)
rm -rf "$work"
mkdir -p "$work"
work=$(cd "$work" && pwd)

consume() {  # way, arguments for cmake
  local way=$1
  cmake -S "$repository/tests/package/$way" -B "$work/$way" "${@:2}"
  cmake --build "$work/$way"
  "$work/$way/consumer"
  echo "$way: the consumer is built and runs"
}

# Sets `prefix` to where the library is installed, which is not where it was installed to.
installed() {
  prefix=${PREFIX:-$work/moved}
  [[ ! -e $prefix/include/icrl ]] || return 0
  cmake -S "$repository" -B "$work/icrl" -DICRL_BUILD_TESTS=OFF -DICRL_BUILD_EXAMPLES=OFF -DICRL_BUILD_BENCHMARKS=OFF
  cmake --install "$work/icrl" --prefix "$work/prefix"
  if grep -rlF -e "$repository" "$work/prefix"; then
    echo "what is installed names the folder that it came from"
    exit 1
  fi
  mv "$work/prefix" "$prefix"
}

for way in "${ways[@]}"; do
  case $way in
    find_package)
      installed
      cmake -DVERSION_FILE="$prefix/share/cmake/icrl/icrlConfigVersion.cmake" -P "$repository/tests/package/versions.cmake"
      consume find_package -DCMAKE_PREFIX_PATH="$prefix"
      ;;
    pkg_config)
      if ! command -v pkg-config >/dev/null; then
        echo "pkg_config: there is no pkg-config here, left out"
        [[ ${#ways[@]} -gt 1 ]] || exit 77
        continue
      fi
      installed
      flags=$(PKG_CONFIG_PATH="$prefix/share/pkgconfig" pkg-config --cflags --libs icrl)
      echo "pkg-config: $flags"
      [[ " $flags " == *" -I$prefix/"* || $prefix == /usr ]]
      read -ra flags <<<"$flags"
      "${CXX:-c++}" -std=c++20 "$repository/tests/package/consumer.cpp" "${flags[@]}" -o "$work/consumer"
      "$work/consumer"
      version=$(sed -n 's/^#define ICRL_VERSION *//p' "$repository/include/icrl/core/version.hpp")
      version=$((version / 10000)).$((version / 100 % 100)).$((version % 100))
      [[ $(PKG_CONFIG_PATH="$prefix/share/pkgconfig" pkg-config --modversion icrl) == "$version" ]]
      echo "pkg_config: the consumer is built and runs"
      ;;
    add_subdirectory)
      consume add_subdirectory -DICRL_REPOSITORY="$repository"
      ;;
    fetch_content)  # what is committed, not what lies in the working tree
      if ! commit=$(git -C "$repository" rev-parse HEAD); then
        echo "fetch_content: not a git repository, left out"
        [[ ${#ways[@]} -gt 1 ]] || exit 77
        continue
      fi
      git clone -q --bare "file://$repository" "$work/clone.git"
      consume fetch_content -DICRL_CLONE="file://$work/clone.git" -DICRL_COMMIT="$commit"
      ;;
    *)
      echo "unknown way $way"
      exit 2
      ;;
  esac
done

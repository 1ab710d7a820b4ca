#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Builds and runs a consumer of the library in each of the three ways that users have.
#   [CXX=c++] check.sh REPOSITORY EMPTY_FOLDER [find_package|add_subdirectory|fetch_content]
set -euo pipefail
repository=$(cd "$1" && pwd)
work=$2
ways=("${@:3}")
[[ ${#ways[@]} -gt 0 ]] || ways=(find_package add_subdirectory fetch_content)
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

for way in "${ways[@]}"; do
  case $way in
    find_package)
      cmake -S "$repository" -B "$work/icrl" -DICRL_BUILD_TESTS=OFF -DICRL_BUILD_EXAMPLES=OFF -DICRL_BUILD_BENCHMARKS=OFF
      cmake --install "$work/icrl" --prefix "$work/prefix"
      if grep -rlF -e "$repository" "$work/prefix"; then
        echo "what is installed names the folder that it came from"
        exit 1
      fi
      mv "$work/prefix" "$work/moved"
      consume find_package -DCMAKE_PREFIX_PATH="$work/moved"
      ;;
    add_subdirectory)
      consume add_subdirectory -DICRL_REPOSITORY="$repository"
      ;;
    fetch_content)  # what is committed, not what lies in the working tree
      if ! commit=$(git -C "$repository" rev-parse HEAD); then
        echo "fetch_content: not a git repository, left out"
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

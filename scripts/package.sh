#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Writes the Debian package icrl-dev into build/package, unpacks it into an empty root and builds there: a consumer with
# CMake, one with pkg-config, and the program that acts with the packaged model. The model is the one that
# scripts/demo.sh wrote, or $MODEL; with MODEL=none the package has none. With "install", which takes the right to install,
# it installs the package on this machine instead, builds there, and adds consumers of the repository.
#   scripts/package.sh [install]     then: apt install ./build/package/icrl-dev_VERSION_all.deb
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" pkg-config dpkg
model=${MODEL:-$PWD/out/demo/systematic_explorer.safetensors}
[[ $model == none || -e $model ]] || scripts/demo.sh
[[ $model != none ]] || model=

say "packaging"
folder=$PWD/build/package
rm -rf "$folder"
cmake -S . -B "$folder" -DICRL_BUILD_TESTS=OFF -DICRL_BUILD_EXAMPLES=OFF -DICRL_BUILD_BENCHMARKS=OFF \
  -DICRL_PACKAGE=ON -DICRL_PACKAGE_MODEL="$model" >/dev/null
(cd "$folder" && cpack -G DEB >/dev/null)
packages=("$folder"/icrl-dev_*_all.deb)
package=${packages[0]}
dpkg-deb --info "$package" | sed -n '/Package:/,$p'

# Builds and runs consumers with what is installed below a prefix, and the program that acts with the packaged model.
consume() { # PREFIX WAY...
  local examples=$1/share/doc/icrl-dev/examples flags begin=$SECONDS
  if [[ -n $model ]]; then
    flags=$(PKG_CONFIG_PATH=$1/share/pkgconfig pkg-config --cflags --libs icrl)
    # shellcheck disable=SC2086  # one word per flag
    "${CXX:-g++}" -std=c++20 -O2 "$examples/act.cpp" $flags -o "$folder/act"
    "$folder/act" "$examples/$(basename "$model")"
    echo "act.cpp: built and run in $((SECONDS - begin)) s"
  fi
  PREFIX=$1 tests/package/check.sh . "$folder/consumers" "${@:2}"
}

if [[ ${1:-} == install ]]; then
  say "installed"
  need "$package"
  dpkg -x "$package" "$folder/root"
  if ! diff -rq "$folder/root/usr/include/icrl" /usr/include/icrl; then
    echo "$0: another icrl-dev of the same version is installed, which apt keeps: apt-get remove icrl-dev" >&2
    exit 1
  fi
  consume /usr find_package pkg_config add_subdirectory fetch_content
else
  say "in an empty root"
  dpkg -x "$package" "$folder/root"
  if grep -rlF -e "$PWD" "$folder/root"; then
    echo "$0: what is packaged names the folder that it came from" >&2
    exit 1
  fi
  consume "$folder/root/usr" find_package pkg_config
fi
say "${package#"$PWD/"}: $(stat -c %s "$package") bytes"

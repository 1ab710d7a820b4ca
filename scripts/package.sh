#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Writes the Debian package icrl-dev into build/package, unpacks it into an empty root and builds there: a consumer with
# CMake, one with pkg-config, and the program that acts with the packaged model. The model is the one that
# scripts/demo.sh wrote, or $MODEL; with MODEL=none the package has none.
#   scripts/package.sh     then: apt install ./build/package/icrl-dev_VERSION_all.deb
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

say "in an empty root"
dpkg -x "$package" "$folder/root"
if grep -rlF -e "$PWD" "$folder/root"; then
  echo "$0: what is packaged names the folder that it came from" >&2
  exit 1
fi
PREFIX="$folder/root/usr" tests/package/check.sh . "$folder/consumers" find_package pkg_config
if [[ -n $model ]]; then
  examples=$folder/root/usr/share/doc/icrl-dev/examples
  PKG_CONFIG_PATH=$folder/root/usr/share/pkgconfig pkg-config --cflags --libs icrl >"$folder/flags"
  read -ra flags <"$folder/flags"
  "${CXX:-g++}" -std=c++20 -O2 "$examples/act.cpp" "${flags[@]}" -o "$folder/act"
  "$folder/act" "$examples/$(basename "$model")"
fi
say "${package#"$PWD/"}: $(stat -c %s "$package") bytes"

#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing, builds the example 020_distil_dark_room and runs it; its pictures and numbers go to out/demo.
#   scripts/demo.sh [ARGUMENTS OF THE EXAMPLE]     e.g. scripts/demo.sh --help, scripts/demo.sh --seed 3
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" libcli11-dev

say "building the demo"
configure release
build release 020_distil_dark_room

say "running the demo"
[[ " $* " == *" --out"* ]] || set -- --out out/demo "$@"
exec build/release/examples/020_distil_dark_room "$@"

#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Measures what the documentation claims to be learned: the examples 060_dark_room_evidence and 070_dark_plane over all their
# seeds, about half an hour on two cores. Goes on where an earlier run was interrupted. Tables and pictures go to docs/results/.
#   scripts/claims.sh
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" libcli11-dev

say "building"
configure release
build release 060_dark_room_evidence 070_dark_plane

say "rooms"
build/release/examples/060_dark_room_evidence --out out/claims/dark_room
say "planes"
build/release/examples/070_dark_plane --seeds 3 --out out/claims/dark_plane

mkdir -p docs/results
cp out/claims/dark_room/evidence.md docs/results/dark_room.md
cp out/claims/dark_room/evidence.svg docs/results/dark_room.svg
cp out/claims/dark_plane/evidence.md docs/results/dark_plane.md
cp out/claims/dark_plane/curves.svg docs/results/dark_plane.svg

#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Proves the first lines of the README on a machine that has nothing but git: makes a bare root in an empty folder, clones
# what is committed here into it, runs the given scripts there and tells how long each one took. Needs root and
# debootstrap; packages come from where this machine's apt gets them, the release is this machine's own or $SUITE.
#   [SUITE=trixie] scripts/bare_root.sh FOLDER [SCRIPT...]     by default demo.sh and test.sh; "package.sh install" has an
#                                                              argument
(($# > 0)) || { sed -n '5,10s/^# *//p' "$0" >&2; exit 2; }
bare=$(realpath -m "$1")
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
((EUID == 0)) || { echo "$0: only root can make a root" >&2; exit 1; }
scripts=("${@:2}")
[[ ${#scripts[@]} -gt 0 ]] || scripts=(demo.sh test.sh)

suite=${SUITE:-$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)}
make_root "$suite" "$bare"
rm -rf "$bare/home/icrl"
git clone -q "$root" "$bare/home/icrl"

took=()
for script in "${scripts[@]}"; do
  say "$script in $bare"
  read -ra words <<<"$script"
  begin=$SECONDS
  without_warnings in_root "$bare" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "/home/icrl/scripts/${words[0]}" "${words[@]:1}"
  took+=("$script: $((SECONDS - begin)) s, packages included")
done
say "in a bare $suite on $(nproc) cores"
printf '%s\n' "${took[@]}"

#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Parses the tests of the modules that scripts/targets.sh compiles for many targets as the one file that it makes of them:
# what two modules' tests both define shows there alone.
#   [CXX=g++] check_unity.sh REPOSITORY FOLDER [FLAG...]
set -euo pipefail
folder=$2
cd "$1"
mkdir -p "$folder"
# shellcheck source=/dev/null
source <(sed -n '/^tests_as_one() {/,/^}/p' scripts/build_target.sh)
read -ra modules < <(sed -n "s/.*export MODULES='\([a-z ]*\)' DEMO=0.*/\1/p" scripts/targets.sh)
((${#modules[@]} > 1))
tests_as_one "${modules[@]}" >"$folder/tests.cpp"
"${CXX:-g++}" -std=c++20 -fsyntax-only -Iinclude -Itests -Iexamples "${@:3}" "$folder/tests.cpp"
echo "${modules[*]}: $(grep -c '^namespace' "$folder/tests.cpp") files of tests are one"

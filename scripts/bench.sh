#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing, builds the benchmarks and runs them (benchmarks/README.md).
#   scripts/bench.sh [ARGUMENTS OF benchmarks/run.sh]     e.g. scripts/bench.sh --quick, scripts/bench.sh --only train_
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need "${build_tools[@]}" "${libraries[@]}" libcli11-dev libopenblas-dev libdnnl-dev time

configure bench
exec benchmarks/run.sh "$@"

#!/usr/bin/env bash
# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# Installs what is missing and writes the API reference, grouped by module, to build/docs/html. A warning of Doxygen is an
# error; a public symbol without documentation is one, too, and these are counted by kind.
#   scripts/docs.sh
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
(($# == 0)) || { echo "$0: there is no option $1" >&2; exit 2; }
need doxygen

export ICRL_DOCS=$PWD/build/docs ICRL_VERSION
ICRL_VERSION=$(sed -n 's/^#define ICRL_VERSION *//p' include/icrl/core/version.hpp)
ICRL_VERSION=$((ICRL_VERSION / 10000)).$((ICRL_VERSION / 100 % 100)).$((ICRL_VERSION % 100))
rm -rf "$ICRL_DOCS"
mkdir -p "$ICRL_DOCS"

# What Doxygen reads in place of a header: see docs/doxygen_filter.awk. The umbrella has nothing to document.
cat >"$ICRL_DOCS/filter.sh" <<'FILTER'
#!/bin/sh
[ "$(basename "$1")" != icrl.hpp ] || exec cat "$1"
exec awk -f docs/doxygen_filter.awk -v used="$ICRL_DOCS/used_rows" docs/protocols.tsv "$1"
FILTER
chmod +x "$ICRL_DOCS/filter.sh"

# The modules and what is in them: docs/design.md's table.
{
  echo '/** @mainpage icrl'
  echo 'A C++20 library for agents that learn a new task while they act, without a gradient step. The types and functions by'
  echo 'module, each of which includes only modules above it:'
  sed -nE 's/^\| [0-9] \| (\[(.*)\]\(.*\)|(mpi)) \| (.*) \| .* \|$/@li @ref \2\3 - \4/p' docs/design.md
  echo 'The guides are in the folder docs: tutorial.md first, how_to.md, design.md, and a page per module. */'
  sed -nE 's/^\| [0-9] \| (\[(.*)\]\(.*\)|(mpi)) \| (.*) \| .* \|$/\/** @defgroup \2\3 \2\3\n\4 *\//p' docs/design.md
} >"$ICRL_DOCS/modules.dox"
for module in include/icrl/*/; do
  grep -q "@defgroup $(basename "$module") " "$ICRL_DOCS/modules.dox" ||
    { echo "$0: docs/design.md's table of modules lacks $(basename "$module")" >&2; exit 1; }
done

say "API reference"
doxygen docs/Doxyfile
sort -u "$ICRL_DOCS/warnings" | sed "s|$PWD/||"
if [[ -s $ICRL_DOCS/warnings ]]; then
  echo
  kinds='variable|function|typedef|friend|enumeration|enumvalue|macro definition'
  echo "$(sort -u "$ICRL_DOCS/warnings" | wc -l) warnings; symbols that are not documented, by kind:"
  sort -u "$ICRL_DOCS/warnings" | sed -nE "s/.*: (Compound) .* is not documented\.$/\1/p
    s/.*\(($kinds)\).* is not documented\.$/\1/p" | sort | uniq -c | sort -rn
  exit 1
fi
# A row of the table that no longer fits a member has lost it to a new name or to a comment of its own.
if ! awk 'NR == FNR { used[$1]; next } /^[^#]/ && !(FNR in used) { print FILENAME ":" FNR ": fits no member: " $0; ++faults }
    END { exit faults > 0 }' "$ICRL_DOCS/used_rows" docs/protocols.tsv; then
  exit 1
fi
for module in include/icrl/*/; do # a group that lost its headers has no entries
  grep -q 'class="memitem\|memItemRight' "$ICRL_DOCS/html/group__$(basename "$module").html" ||
    { echo "$0: module $(basename "$module") has no entries" >&2; exit 1; }
done
echo "build/docs/html/index.html: $(find "$ICRL_DOCS/html" -name '*.html' | wc -l) pages"

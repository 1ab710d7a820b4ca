# SPDX-FileCopyrightText: The icrl authors
# SPDX-License-Identifier: MIT
#
# What Doxygen reads in place of a header: the same lines with the same numbers, and on them
#   1. the group of the header's module;
#   2. for a declaration without a comment, the text that docs/protocols.tsv has for a member of that name;
#   3. for a declaration of several variables, their common comment at each of them.
#   awk -f doxygen_filter.awk -v used=FILE protocols.tsv include/icrl/MODULE/HEADER.hpp
# Appends to FILE a line for each text of the table that was used: the number of its row, and where.

FNR == NR {
  if ($0 !~ /^#/ && split($0, columns, "\t") == 3) {
    where[++rows] = columns[1]
    members[rows] = columns[2]
    text[rows] = columns[3]
    line_of[rows] = FNR
  }
  next
}

FNR == 1 {
  header = FILENAME
  sub(/^.*include\/icrl\//, "", header)
  module = header
  sub(/\/.*/, "", module)
}
{ lines[FNR] = $0 }

function indent_of(line) { return match(line, /[^ ]/) - 1 }
function is_comment(line) { return line ~ /^ *\/\/\/($|[^<])/ }
function comment_text(line) { sub(/^.*\/\/\/<? ?/, "", line); return line }

# The text of the first row that fits a member, or nothing.
function row_text(owner, key,    i, j, count, names) {
  for (i = 1; i <= rows; ++i) {
    if ((header ":" owner) !~ where[i]) continue
    count = split(members[i], names, "|")
    for (j = 1; j <= count; ++j) {
      if (names[j] ~ /\(/ ? index(key, names[j]) != 1 : key != names[j]) continue
      if (used != "") print line_of[i], header ":" owner, key >> used
      return text[i]
    }
  }
  return ""
}

# The name in `type name = value`, `type name{value}` or `type name[size]`.
function declared_name(code) {
  sub(/ +=.*$/, "", code)
  sub(/[{[].*$/, "", code)
  sub(/ *$/, "", code)
  sub(/^.*[ &*>]/, "", code)
  return code
}

# `int a = 1, b = 2;` with a comment before each variable that has none: their common one, else the table's.
function document_variables(code, rest, owner, comment, at,    i, c, depth, piece, out, first, here) {
  out = piece = ""
  first = 1
  depth = 0
  for (i = 1; i <= length(code); ++i) {
    c = substr(code, i, 1)
    if (c ~ /[<({[]/) ++depth
    if (c ~ /[>)}\]]/) --depth
    if ((c == "," && depth == 0) || c == ";") {
      here = comment
      if ((first && at == "above") || (c == ";" && at == "behind")) here = ""
      else if (here == "") here = row_text(owner, declared_name(piece))
      out = out (here == "" ? "" : " /** " here " */ ") piece c
      piece = ""
      first = 0
      if (c == ";") break
    } else {
      piece = piece c
    }
  }
  return out rest
}

END {
  depth = 0
  in_detail = 0
  for (n = 1; n <= FNR; ++n) {
    line = lines[n]
    if (line ~ /^namespace detail \{/) in_detail = 1
    if (line ~ /^\}  \/\/ namespace detail/) in_detail = 0
    indent = indent_of(line)
    if (indent < 0 || line ~ /^ *(\/\/|#|template|requires|public:|private:|protected:)/) continue
    while (depth > 0 && indent <= indents[depth]) --depth
    if (in_detail || indent != 2 * depth || line ~ /^ *[}:]/) continue

    top = n
    while (lines[top - 1] ~ /^ *(template|requires) /) --top
    has_comment = is_comment(lines[top - 1]) || line ~ /\/\/\/</
    owner = depth ? owners[depth] : ""
    code = line
    sub(/^ +/, "", code)
    sub(/ *\/\/\/.*$/, "", code)

    if (code ~ /^(struct|class) .*\{$/) {
      name = code
      sub(/^(struct|class) (\[\[[a-z]+\]\] |alignas\([^)]*\) )*/, "", name)
      sub(/[^A-Za-z0-9_].*$/, "", name)
      owners[++depth] = owner (owner == "" ? "" : "::") name
      indents[depth] = indent
      continue
    }
    if (code ~ /^(namespace|static_assert|return|enum)/) continue

    key = code
    if (code ~ /^using /) {
      sub(/ *=.*$/, "", key)
    } else if (code ~ /^(\[\[[a-z]+\]\] )?[A-Za-z_:]*[^(=]*[ &*]operator==\(/) {
      key = "operator==("
    } else if (code ~ /^[^(=]*[A-Za-z0-9_=]\(/) {
      match(code, /[A-Za-z0-9_]+\(/)
      key = substr(code, RSTART)
    } else if (code ~ /;$/ && depth) {
      comment = ""
      at = ""
      if (is_comment(lines[top - 1])) {
        at = "above"
        for (i = top - 1; is_comment(lines[i]); --i) comment = comment_text(lines[i]) " " comment
      } else if (line ~ /\/\/\/</) {
        at = "behind"
        comment = comment_text(line)
        for (i = n + 1; lines[i] ~ /^ *\/\/\/</; ++i) comment = comment " " comment_text(lines[i])
      }
      gsub(/ *$/, "", comment)
      rest = line
      sub(/^[^;]*;/, "", rest)
      code = substr(line, 1, length(line) - length(rest))
      lines[n] = document_variables(code, rest, owner, comment, at)
      continue
    } else {
      continue
    }
    if (!has_comment && (found = row_text(owner, key)) != "") lines[top] = "/** " found " */ " lines[top]
  }

  for (n = 1; n <= FNR; ++n) {
    if (lines[n] == "namespace icrl {") lines[n] = lines[n] " /** @addtogroup " module " */ /** @{ */"
    if (lines[n] == "}  // namespace icrl") lines[n] = "/** @} */ " lines[n]
    if (lines[n] ~ /^ *\/\/\//) gsub(/<c[a-z]*>/, "@&", lines[n])
    print lines[n]
  }
}

// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include "support/printable.hpp"

#include "support/catch.hpp"

TEST_CASE("A text of a file is printed without what a terminal obeys", "[examples]") {
  using example::printable;

  CHECK(printable("Q-learning, \xC3\xA9") == "\"Q-learning, \xC3\xA9\"");
  CHECK(printable("a\x1B[2J\n\"") == "\"a\\u001b[2J\\n\\\"\"");
  CHECK(printable("\x7F\xC2\x9B"
                  "2J") == "\"\\u007f\\u009b2J\"");
  CHECK(printable("\xC2\xA0") == "\"\xC2\xA0\"");
  CHECK(printable("\xFF") == "\"(not UTF-8)\"");
}

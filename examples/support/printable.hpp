// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <icrl/io/json_text.hpp>

namespace example {

/// A text that JSON can hold: the text itself, or a remark where it is not UTF-8.
[[nodiscard]] inline std::string utf8_or_remark(const std::string& text) {
  try {
    icrl::detail::check_utf8(text);
    return text;
  } catch (const icrl::Error&) {
    return "(not UTF-8)";
  }
}

/// A text of a file, in quotes and with its control characters escaped: a terminal obeys those.
[[nodiscard]] inline std::string printable(const std::string& text) {
  const std::string quoted = icrl::JsonText{utf8_or_remark(text)}.text();
  std::string out;
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    const unsigned byte = static_cast<unsigned char>(quoted[i]);
    const unsigned next = i + 1 < quoted.size() ? static_cast<unsigned char>(quoted[i + 1]) : 0u;
    if (byte == 0x7F) {
      out += "\\u007f";
    } else if (byte == 0xC2 && next < 0xA0) {  // U+0080 .. U+009F
      out += fmt::format("\\u{:04x}", next);
      ++i;
    } else {
      out += quoted[i];
    }
  }
  return out;
}

}  // namespace example

// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/core/fail.hpp>

// Writes JSON directly as text. This compiles in a fraction of the time of a JSON library, which code that only writes
// a model or a summary does not need.
namespace icrl {

namespace detail {

/// Throws Error for text that is not UTF-8.
inline void check_utf8(std::string_view text) {
  int missing = 0;
  unsigned least = 0x80, most = 0xBF;  // range of the next byte of a character
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned byte = static_cast<unsigned char>(text[i]);
    const bool is_first = missing == 0;
    if (is_first ? byte >= 0x80 && (byte < 0xC2 || byte > 0xF4) : byte < least || byte > most)
      fail("invalid UTF-8 byte at index {}: 0x{:02X}", i, byte);
    if (is_first && byte >= 0x80) {
      missing = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
      least = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;  // no overlong encodings
      most = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;   // no surrogates, nothing beyond U+10FFFF
    } else if (!is_first) {
      --missing;
      least = 0x80;
      most = 0xBF;
    }
  }
  if (missing > 0) {
    fail("incomplete UTF-8 string; last byte: 0x{:02X}",
         static_cast<unsigned>(static_cast<unsigned char>(text.back())));
  }
}

/// A JSON string, quotes included.
[[nodiscard]] inline std::string json_quoted(std::string_view text) {
  check_utf8(text);
  std::string out = "\"";
  for (const char c : text) {
    constexpr std::string_view special = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
    if (const std::size_t found = special.find(c); found != special.npos) {
      out += '\\';
      out += letters[found];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out += '"';
}

/// The shortest text that reads back as the same number and is recognizable as a real number. JSON has only finite
/// numbers.
[[nodiscard]] inline std::string number_text(double number) {
  if (!std::isfinite(number)) return "null";
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".e") == text.npos) text += ".0";
  return text;
}

}  // namespace detail

/// A JSON value as text, made from numbers, booleans, strings, lists of these, or by json_object. Throws Error for a
/// string that is not UTF-8.
class JsonText {
public:
  JsonText(std::string_view value) : text_{detail::json_quoted(value)} {}
  JsonText(const std::string& value) : text_{detail::json_quoted(value)} {}
  JsonText(const char* value) : text_{detail::json_quoted(value)} {}
  JsonText(bool value) : text_{value ? "true" : "false"} {}
  JsonText(double value) : text_{detail::number_text(value)} {}
  template <std::integral T>
  JsonText(T value) : text_{std::to_string(value)} {}
  template <typename T>
  JsonText(const std::vector<T>& values) : text_{"["} {
    for (const auto& value : values) append(value);
    text_ += ']';
  }

  /// The JSON, on one line.
  [[nodiscard]] const std::string& text() const { return text_; }

  /// Wraps text that is already JSON.
  [[nodiscard]] static JsonText verbatim(std::string text) {
    JsonText json{false};
    json.text_ = std::move(text);
    return json;
  }

private:
  void append(const JsonText& value) {
    if (text_.size() > 1) text_ += ',';
    text_ += value.text_;
  }

  std::string text_;
};

/// One entry of an object.
struct JsonField {
  std::string_view key;  ///< written as a JSON string
  JsonText value;        ///< of any kind
};

namespace detail {

template <typename Fields>
[[nodiscard]] JsonText object_of(const Fields& fields) {
  std::string text = "{";
  for (const auto& [key, value] : fields) {
    if (text.size() > 1) text += ',';
    text += json_quoted(key);
    text += ':';
    text += value.text();
  }
  return JsonText::verbatim(text += '}');
}

}  // namespace detail

/// An object with the fields in the given order.
[[nodiscard]] inline JsonText json_object(std::initializer_list<JsonField> fields) { return detail::object_of(fields); }

/// An object whose fields are collected in a loop, sorted by key.
using JsonFields = std::map<std::string, JsonText, std::less<>>;
/// See JsonFields.
[[nodiscard]] inline JsonText json_object_of(const JsonFields& fields) { return detail::object_of(fields); }

}  // namespace icrl

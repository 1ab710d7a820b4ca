// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <icrl/core/fail.hpp>
#include <icrl/io/json_limits.hpp>

// The only header that uses the JSON library. Data from outside is limited while it is read, and exceptions of the
// library become Errors.
namespace icrl {

/// A parsed JSON value.
using Json = nlohmann::json;

namespace detail {

/// The JSON library's error text without its prefix "[json.exception.parse_error.101] ".
[[nodiscard]] inline std::string plain_text(const Json::exception& error) {
  const std::string_view text = error.what();
  const auto end = text.find("] ");
  return std::string{end == text.npos ? text : text.substr(end + 2)};
}

/// Checks the limits while a text is read, before values are created. It stops at malformed text without an error; the
/// parser that creates the values then reports it.
class JsonInspector {
public:
  explicit JsonInspector(std::string_view what) : what_{what} {}

  bool null() { return count(); }
  bool boolean(bool) { return count(); }
  bool number_integer(Json::number_integer_t) { return count(); }
  bool number_unsigned(Json::number_unsigned_t) { return count(); }
  bool number_float(Json::number_float_t, const std::string&) { return count(); }
  bool string(std::string&) { return count(); }
  bool binary(Json::binary_t&) { return count(); }
  bool start_object(std::size_t) {
    open();
    keys_of_open_objects_.emplace_back();
    return true;
  }
  bool key(const std::string& key) {
    if (!keys_of_open_objects_.back().insert(key).second)
      fail("{}: JSON has the key \"{}\" twice in one object", what_, key);
    return true;
  }
  bool end_object() {
    keys_of_open_objects_.pop_back();
    return end_array();
  }
  bool start_array(std::size_t) { return open(); }
  bool end_array() {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) { return false; }

private:
  bool open() {
    if (depth_ >= JsonLimits::nesting) fail("{}: JSON is nested more than {} levels deep", what_, JsonLimits::nesting);
    ++depth_;
    return count();
  }
  bool count() {
    if (++value_count_ > JsonLimits::value_count)
      fail("{}: JSON has more than {} values", what_, JsonLimits::value_count);
    return true;
  }

  std::string_view what_;
  std::vector<std::set<std::string>> keys_of_open_objects_;
  int depth_ = 0, value_count_ = 0;
};

}  // namespace detail

/// Parses a JSON text in time proportional to its length. Throws Error, which begins with `what`, unless it is one
/// well-formed UTF-8 value within the limits and without duplicate keys.
[[nodiscard]] inline Json parse_json(std::string_view text, std::string_view what) {
  // The text is read twice, because the callback of the JSON library is called with every member of an object whenever
  // one of them ends.
  detail::JsonInspector inspector{what};
  try {
    (void)Json::sax_parse(text.begin(), text.end(), &inspector);
    return Json::parse(text.begin(), text.end());
  } catch (const Json::exception& error) {
    fail("{}: {}", what, detail::plain_text(error));
  }
}

/// JSON as text, on one line or indented by `indent` spaces. Throws Error if a string is not UTF-8.
[[nodiscard]] inline std::string to_text(const Json& json, std::string_view what, int indent = -1) {
  try {
    return json.dump(indent);
  } catch (const Json::exception& error) {
    fail("{}: {}", what, detail::plain_text(error));
  }
}

/// A value for an error text: the value itself, or only its type if it could be long.
[[nodiscard]] inline std::string shown(const Json& json) {
  constexpr std::size_t longest = 40;
  const bool is_short =
      json.is_primitive() && (!json.is_string() || json.get_ref<const std::string&>().size() <= longest);
  return is_short ? to_text(json, "JSON") : std::string{"of type "} + json.type_name();
}

/// Reads a whole number in least .. most. `what` begins the Error.
[[nodiscard]] inline int whole_number(const Json& number, int least, int most, std::string_view what) {
  if (!number.is_number_integer()) fail("{}: should be a whole number, it is {}", what, shown(number));
  const bool is_huge = number.is_number_unsigned() && number.get<std::uint64_t>() > static_cast<std::uint64_t>(most);
  if (is_huge || number.get<std::int64_t>() < least || number.get<std::int64_t>() > most)
    fail("{}: is {}, it must lie in {} .. {}", what, shown(number), least, most);
  return number.get<int>();
}

/// Reads an object key by key, then reports the keys that were not read. `json` must outlive it.
class JsonObject {
public:
  /// `what` begins every error.
  JsonObject(const Json& json, std::string what) : json_{&json}, what_{std::move(what)} {
    if (!json.is_object()) fail("{}: should be a JSON object, it is {}", what_, shown(json));
  }
  JsonObject(const Json&&, std::string) = delete;

  /// What begins every error.
  [[nodiscard]] const std::string& what() const { return what_; }
  /// Whether the object has this key. Asking does not count as reading it.
  [[nodiscard]] bool has(const std::string& key) const { return json_->contains(key); }

  /// The value of a key, which then counts as read. Throws Error if the key is missing; so do the functions below, and
  /// also for a value of another type.
  [[nodiscard]] const Json& value(const std::string& key) {
    asked_for_.insert(key);
    const auto found = json_->find(key);
    if (found == json_->end()) fail("{}: \"{}\" is missing", what_, key);
    return *found;
  }
  /// A whole number, which must lie in least .. most.
  [[nodiscard]] int integer(const std::string& key, int least, int most) {
    return whole_number(value(key), least, most, fmt::format("{}: \"{}\"", what_, key));
  }
  /// A number, whole or not.
  [[nodiscard]] double number(const std::string& key) {
    const Json& number = value(key);
    if (!number.is_number()) wrong_type(key, "a number", number);
    return number.get<double>();
  }
  /// A truth value.
  [[nodiscard]] bool boolean(const std::string& key) {
    const Json& truth = value(key);
    if (!truth.is_boolean()) wrong_type(key, "true or false", truth);
    return truth.get<bool>();
  }
  /// A string.
  [[nodiscard]] std::string text(const std::string& key) {
    const Json& text = value(key);
    if (!text.is_string()) wrong_type(key, "a text", text);
    return text.get<std::string>();
  }
  /// An array, for a loop over its elements.
  [[nodiscard]] const Json& list(const std::string& key) {
    const Json& list = value(key);
    if (!list.is_array()) wrong_type(key, "a list", list);
    return list;
  }

  /// Throws Error if there is a key that was not read.
  void check_no_other() const {
    for (const auto& [key, unused] : json_->items()) {
      if (!asked_for_.contains(key)) fail("{}: unknown key \"{}\" (known: {})", what_, key, joined(asked_for_, ", "));
    }
  }

private:
  [[noreturn]] void wrong_type(const std::string& key, const char* wanted, const Json& found) const {
    fail("{}: \"{}\" should be {}, it is {}", what_, key, wanted, shown(found));
  }

  const Json* json_;
  std::string what_;
  std::set<std::string> asked_for_;
};

}  // namespace icrl

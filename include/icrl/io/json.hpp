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

// The one place that knows the JSON library. What comes from outside is bounded while it is read, and the library's
// exceptions become Errors.
namespace icrl {

using Json = nlohmann::json;

/// What a text may hold at most.
struct JsonLimits {
  static constexpr int nesting = 32;           ///< objects and lists inside one another
  static constexpr int value_count = 1 << 20;  ///< values of any kind, so that a short text cannot fill the memory
};

namespace detail {

/// The JSON library's words without its prefix "[json.exception.parse_error.101] ".
[[nodiscard]] inline std::string plain_text(const Json::exception& error) {
  const std::string_view text = error.what();
  const auto end = text.find("] ");
  return std::string{end == text.npos ? text : text.substr(end + 2)};
}

}  // namespace detail

/// Reads a JSON text. Throws Error, which begins with `what`, for anything but one well-formed UTF-8 value, for a key
/// that an object has twice, and beyond the limits.
[[nodiscard]] inline Json parse_json(std::string_view text, std::string_view what) {
  std::vector<std::set<std::string>> keys_of_open_objects;
  int value_count = 0;
  const auto inspect = [&](int depth, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    const bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && depth >= JsonLimits::nesting) fail("{}: JSON nested more than {} deep", what, JsonLimits::nesting);
    if ((opens || event == Event::value) && ++value_count > JsonLimits::value_count)
      fail("{}: JSON of more than {} values", what, JsonLimits::value_count);
    if (event == Event::object_start) keys_of_open_objects.emplace_back();
    if (event == Event::object_end) keys_of_open_objects.pop_back();
    if (event == Event::key && !keys_of_open_objects.back().insert(parsed.get<std::string>()).second)
      fail("{}: JSON has the key \"{}\" twice in one object", what, parsed.get<std::string>());
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), inspect);
  } catch (const Json::exception& error) {
    fail("{}: {}", what, detail::plain_text(error));
  }
}

/// JSON as text, on one line unless `indent` spaces are asked for. Throws Error where a string is not UTF-8.
[[nodiscard]] inline std::string to_text(const Json& json, std::string_view what, int indent = -1) {
  try {
    return json.dump(indent);
  } catch (const Json::exception& error) {
    fail("{}: {}", what, detail::plain_text(error));
  }
}

/// A value as errors show it: as it stands, or only its kind where that could be long.
[[nodiscard]] inline std::string shown(const Json& json) {
  constexpr std::size_t longest = 40;
  const bool is_short =
      json.is_primitive() && (!json.is_string() || json.get_ref<const std::string&>().size() <= longest);
  return is_short ? to_text(json, "JSON") : std::string{"of type "} + json.type_name();
}

/// A whole number in least .. most. `what` begins the Error.
[[nodiscard]] inline int whole_number(const Json& number, int least, int most, std::string_view what) {
  if (!number.is_number_integer()) fail("{}: should be a whole number, it is {}", what, shown(number));
  const bool is_huge = number.is_number_unsigned() && number.get<std::uint64_t>() > static_cast<std::uint64_t>(most);
  if (is_huge || number.get<std::int64_t>() < least || number.get<std::int64_t>() > most)
    fail("{}: is {}, it must lie in {} .. {}", what, shown(number), least, most);
  return number.get<int>();
}

/// Reads an object key by key, and then names the keys that nobody asked for. `json` must outlive it.
class JsonObject {
public:
  /// `what` begins every error.
  JsonObject(const Json& json, std::string what) : json_{&json}, what_{std::move(what)} {
    if (!json.is_object()) fail("{}: should be a JSON object, it is {}", what_, shown(json));
  }
  JsonObject(const Json&&, std::string) = delete;

  [[nodiscard]] const std::string& what() const { return what_; }
  [[nodiscard]] bool has(const std::string& key) const { return json_->contains(key); }

  [[nodiscard]] const Json& value(const std::string& key) {
    asked_for_.insert(key);
    const auto found = json_->find(key);
    if (found == json_->end()) fail("{}: \"{}\" is missing", what_, key);
    return *found;
  }
  [[nodiscard]] int integer(const std::string& key, int least, int most) {
    return whole_number(value(key), least, most, fmt::format("{}: \"{}\"", what_, key));
  }
  [[nodiscard]] double number(const std::string& key) {
    const Json& number = value(key);
    if (!number.is_number()) wrong_type(key, "a number", number);
    return number.get<double>();
  }
  [[nodiscard]] bool boolean(const std::string& key) {
    const Json& truth = value(key);
    if (!truth.is_boolean()) wrong_type(key, "true or false", truth);
    return truth.get<bool>();
  }
  [[nodiscard]] std::string text(const std::string& key) {
    const Json& text = value(key);
    if (!text.is_string()) wrong_type(key, "a text", text);
    return text.get<std::string>();
  }
  [[nodiscard]] const Json& list(const std::string& key) {
    const Json& list = value(key);
    if (!list.is_array()) wrong_type(key, "a list", list);
    return list;
  }

  /// Throws Error if there is a key that was never asked for.
  void expect_no_other() const {
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

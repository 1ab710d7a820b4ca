// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include <icrl/core/fail.hpp>

// A configuration lists its fields once:
//
//   struct ConvConfig {
//     int width = 32;
//     static constexpr auto fields() {
//       using C = ConvConfig;
//       return std::tuple{IntField<C>{.key = "width", .member = &C::width, .min = 1, .max = 512, .text = "width {}",
//                                     .help = "channels"}};
//     }
//   };
//
// `describe`, `validate_fields` and `help_text` below use this list, and so does JSON in both directions
// (io/config_text.hpp, io/config_json.hpp). Every field has a `key`, which names the value in files and errors; a
// `text`, its part of the description, where {} is replaced by the value; and a `help`.
namespace icrl {

/// A whole number in min .. max.
template <typename Config>
struct IntField {
  std::string_view key;
  int Config::*member;
  int min = std::numeric_limits<int>::lowest(), max = std::numeric_limits<int>::max();
  std::string_view text, help;
  int (Config::*used)() const = nullptr;  ///< optional: computes the described value, for example if 0 means a default

  [[nodiscard]] bool is_set(const Config&) const { return true; }
  [[nodiscard]] std::string default_text() const { return fmt::format("{}", Config{}.*member); }
  [[nodiscard]] std::string value_text(const Config& config) const {
    return fmt::format("{}", used != nullptr ? (config.*used)() : config.*member);
  }
  [[nodiscard]] std::string range_text() const { return fmt::format("{} .. {}", min, max); }
  void check(const Config& config, std::string_view what) const {
    const int value = config.*member;
    if (value < min || value > max) fail("{}: {} is {}, it must lie in {}", what, key, value, range_text());
  }
};

/// A finite number in min .. max.
template <typename Config>
struct RealField {
  std::string_view key;
  double Config::*member;
  double min = std::numeric_limits<double>::lowest(), max = std::numeric_limits<double>::max();
  std::string_view text, help;

  [[nodiscard]] bool is_set(const Config&) const { return true; }
  [[nodiscard]] std::string default_text() const { return value_text(Config{}); }
  [[nodiscard]] std::string value_text(const Config& config) const { return fmt::format("{}", config.*member); }
  [[nodiscard]] std::string range_text() const { return fmt::format("{} .. {}", min, max); }
  void check(const Config& config, std::string_view what) const {
    const double value = config.*member;
    if (!(value >= min && value <= max)) fail("{}: {} is {}, it must lie in {}", what, key, value, range_text());
  }
};

/// A text.
template <typename Config>
struct TextField {
  std::string_view key;
  std::string Config::*member;
  std::string_view text, help;

  [[nodiscard]] bool is_set(const Config&) const { return true; }
  [[nodiscard]] std::string default_text() const { return value_text(Config{}); }
  [[nodiscard]] std::string value_text(const Config& config) const { return fmt::format("\"{}\"", config.*member); }
  [[nodiscard]] std::string range_text() const { return "a text"; }
  void check(const Config&, std::string_view) const {}
};

/// One value of an enumeration: its name in files and, if it differs, in descriptions.
template <typename Enum>
struct EnumName {
  Enum value;                                 ///< an enumerator
  std::string_view name, description = name;  ///< in files, and in descriptions
};

/// One of several named values.
template <typename Config, typename Enum>
struct EnumField {
  std::string_view key;
  Enum Config::*member;
  std::span<const EnumName<Enum>> names;  ///< of all enumerators
  std::string_view text, help;

  /// The entry of a value; null if it has none.
  [[nodiscard]] const EnumName<Enum>* find(Enum value) const {
    for (const EnumName<Enum>& entry : names)
      if (entry.value == value) return &entry;
    return nullptr;
  }
  [[nodiscard]] bool is_set(const Config&) const { return true; }
  [[nodiscard]] std::string default_text() const { return std::string{find(Config{}.*member)->name}; }
  [[nodiscard]] std::string value_text(const Config& config) const {
    const EnumName<Enum>* const entry = find(config.*member);
    return entry != nullptr ? std::string{entry->description} : "?";
  }
  [[nodiscard]] std::string range_text() const {
    std::vector<std::string_view> known;
    for (const EnumName<Enum>& entry : names) known.push_back(entry.name);
    return joined(known, " or ");
  }
  void check(const Config& config, std::string_view what) const {
    if (find(config.*member) == nullptr)
      fail("{}: {} has the unknown value {}, it must be {}", what, key, static_cast<int>(config.*member), range_text());
  }
};

/// An optional list of whole numbers in min .. max. An empty list is left out of files and descriptions.
template <typename Config>
struct IntListField {
  std::string_view key;
  std::vector<int> Config::*member;
  int min = std::numeric_limits<int>::lowest(), max = std::numeric_limits<int>::max();
  std::string_view text, help;

  [[nodiscard]] bool is_set(const Config& config) const { return !(config.*member).empty(); }
  [[nodiscard]] std::string default_text() const { return is_set(Config{}) ? value_text(Config{}) : "none"; }
  /// Values are not separated by commas, because commas separate the parts of a description.
  [[nodiscard]] std::string value_text(const Config& config) const { return joined(config.*member, " "); }
  [[nodiscard]] std::string range_text() const { return fmt::format("none, or each in {} .. {}", min, max); }
  void check(const Config& config, std::string_view what) const {
    const std::vector<int>& values = config.*member;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] < min || values[i] > max)
        fail("{}: {}[{}] is {}, it must lie in {} .. {}", what, key, i, values[i], min, max);
    }
  }
};

/// A configuration that lists its fields.
template <typename C>
concept HasFields = requires {
  std::tuple_size<decltype(std::remove_cvref_t<C>::fields())>::value;
};

/// Calls `visit(field)` for every field, in the order of the list.
template <HasFields Config, typename Visit>
void for_each_field(Visit&& visit) {
  std::apply([&](const auto&... field) { (visit(field), ...); }, Config::fields());
}

/// One value of a configuration, as in its description: "width 64".
template <typename Field, HasFields Config>
[[nodiscard]] std::string field_text(const Field& field, const Config& config) {
  std::string text{field.text};
  const std::size_t place = text.find("{}");
  return place == text.npos ? text : text.replace(place, 2, field.value_text(config));
}

/// All values of a configuration on one line: "width 64, layers 4, learned positions".
template <HasFields Config>
[[nodiscard]] std::string describe(const Config& config) {
  std::string line;
  for_each_field<Config>([&](const auto& field) {
    if (!field.is_set(config)) return;
    if (!line.empty()) line += ", ";
    line += field_text(field, config);
  });
  return line;
}

/// Throws Error, which begins with `what` and names the first value outside its range.
template <HasFields Config>
void validate_fields(const Config& config, std::string_view what) {
  for_each_field<Config>([&](const auto& field) { field.check(config, what); });
}

/// One line per field: "width (64): channels; 1 .. 512", with the default value in parentheses.
template <HasFields Config>
[[nodiscard]] std::string help_text() {
  std::string lines;
  for_each_field<Config>([&](const auto& field) {
    lines += fmt::format("{} ({}): {}; {}\n", field.key, field.default_text(), field.help, field.range_text());
  });
  return lines;
}

}  // namespace icrl

// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

#include <icrl/io/config_json.hpp>

#include "fuzz/spaces.hpp"
#include "fuzz/target.hpp"

namespace icrl::fuzz {

/// A JSON text, and what is made of it: a configuration, a layout or a space.
struct JsonTarget {
  [[nodiscard]] static Bytes make(Choices, Rng& rng) {
    std::string text;
    switch (rng.below(4)) {
      case 0:
        text = json_text(any_config(rng)).text();
        break;
      case 1:
        text = json_text(any_layout(rng)).text();
        break;
      case 2:
        text = json_text(any_observation_space(rng)).text();
        break;
      default:
        text = R"({"a": [1, -2, 3.5e-7, 1e300, "\u00e4\ud83d\ude00", null, true], "b": {"a": {}}, "c": [[[]]]})";
        break;
    }
    return {text.begin(), text.end()};
  }

  static void run(Choices, const Bytes& file) {
    const Json json = parse_json({file.data(), file.size()}, "text");
    require(parse_json(to_text(json, "text"), "text again") == json, "JSON comes back as it was");
    require(!shown(json).empty(), "JSON can be shown");
    read_back(json, config_from_json<TransformerConfig>);
    read_back(json, space_labels_from_json);
    read_back(json, step_layout_from_json);
    read_back(json, space_from_json);
  }

private:
  template <typename FromJson>
  static void read_back(const Json& json, FromJson from_json) {
    const auto read = [&](const Json& from) -> std::optional<decltype(from_json(json, ""))> {
      try {
        return from_json(from, "value");
      } catch (const Error&) {
        return std::nullopt;
      }
    };
    const auto value = read(json);
    require(!value || read(parse_json(json_text(*value).text(), "value")) == value,
            "a value comes back from JSON as it was");
  }
};
static_assert(Target<JsonTarget>);

}  // namespace icrl::fuzz

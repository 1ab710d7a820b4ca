// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include <icrl/core/config_fields.hpp>

namespace icrl::test {

enum class Shade { light, dark };
inline constexpr EnumName<Shade> shade_names[] = {{Shade::light, "light", "as day"}, {Shade::dark, "dark"}};

/// A configuration with a field of every kind.
struct EveryField {
  int width = 4;
  int depth = 0;  ///< 0 means 2 * width
  double rate = 0.5;
  std::string title = "none";
  Shade shade = Shade::light;
  std::vector<int> sizes{};

  [[nodiscard]] int used_depth() const { return depth > 0 ? depth : 2 * width; }

  static constexpr auto fields() {
    using C = EveryField;
    return std::tuple{
        IntField<C>{
            .key = "width", .member = &C::width, .min = 1, .max = 9, .text = "width {}", .help = "numbers per token"},
        IntField<C>{.key = "depth",
                    .member = &C::depth,
                    .min = 0,
                    .max = 9,
                    .text = "{} deep",
                    .help = "layers",
                    .used = &C::used_depth},
        RealField<C>{.key = "rate", .member = &C::rate, .min = 0, .max = 1, .text = "rate {}", .help = "of learning"},
        TextField<C>{.key = "title", .member = &C::title, .text = "title {}", .help = "on the plot"},
        EnumField<C, Shade>{
            .key = "shade", .member = &C::shade, .names = shade_names, .text = "{}", .help = "of the plot"},
        IntListField<C>{
            .key = "sizes", .member = &C::sizes, .min = 1, .max = 99, .text = "sizes {}", .help = "of the layers"}};
  }

  friend bool operator==(const EveryField&, const EveryField&) = default;
};

inline EveryField unusual_fields() {
  return {.width = 9, .depth = 3, .rate = 0.1, .title = "a \"b\"", .shade = Shade::dark, .sizes = {7, 1, 99}};
}

}  // namespace icrl::test

// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include <icrl/model/causal_transformer.hpp>
#include <icrl/nn/linear.hpp>

namespace icrl {

/// A linear head with `extra` outputs after those for actions: values, or anything else that an objective learns.
template <std::floating_point S, int extra = 1>
struct ValueHead : Linear<S> {
  static_assert(extra > 0, "ValueHead: a head without extra outputs is a Linear");

  /// `out`: outputs that actions read.
  ValueHead(Index in, Index out) : Linear<S>{in, out + extra} {}

  [[nodiscard]] static std::int64_t weight_count(std::int64_t in, std::int64_t out) {
    return Linear<S>::weight_count(in, out + extra);
  }
};

namespace detail {

/// "value_" and the kind of the other parts.
template <typename Parts>
struct ValueKind {
  static constexpr std::string_view prefix = "value_", of_parts = Parts::kind;
  static constexpr auto characters = [] {
    std::array<char, prefix.size() + of_parts.size()> all{};
    std::copy(of_parts.begin(), of_parts.end(), std::copy(prefix.begin(), prefix.end(), all.begin()));
    return all;
  }();
  static constexpr std::string_view text{characters.data(), characters.size()};
};

}  // namespace detail

/// A transformer's parts with `extra` outputs after those for actions: CausalTransformer<float, ValueParts<float>>.
/// Agents only use the first outputs; `outputs()` has all of them.
template <std::floating_point S, typename Parts = DenseParts<S>, int extra = 1>
struct ValueParts : Parts {
  static constexpr std::string_view kind = detail::ValueKind<Parts>::text;
  using Head = ValueHead<S, extra>;
};

}  // namespace icrl

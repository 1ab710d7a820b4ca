// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/checksum.hpp>
#include <icrl/core/fail.hpp>
#include <icrl/nn/weight_chunks.hpp>

namespace icrl {

/// Which weights of one tensor are kept. The others are pruned: they are exactly zero.
struct WeightMask {
  std::string name;                ///< of the tensor, such as "blocks.0.mlp.up.weight"
  Index rows, columns;             ///< in, out
  std::vector<std::uint8_t> kept;  ///< (in, out), 1 = kept, 0 = pruned

  friend bool operator==(const WeightMask&, const WeightMask&) = default;
};
/// Masks of some tensors of a model; all weights of the others are kept.
using WeightMasks = std::vector<WeightMask>;

/// The mask of a tensor, or null.
[[nodiscard]] inline const WeightMask* find_mask(const WeightMasks& masks, std::string_view name) {
  const auto found = std::find_if(masks.begin(), masks.end(), [&](const auto& mask) { return mask.name == name; });
  return found == masks.end() ? nullptr : &*found;
}

/// Throws Error unless every mask belongs to a different trained tensor of the model, has its shape and holds only 0
/// and 1.
template <Parameterized M>
void validate_masks(const WeightMasks& masks, const M& model) {
  const auto parameters = parameters_of(model);
  for (const WeightMask& mask : masks) {
    const auto p = std::find_if(parameters.begin(), parameters.end(),
                                [&](const auto& parameter) { return parameter.name == mask.name; });
    if (p == parameters.end()) fail("masks: the model has no tensor \"{}\"", mask.name);
    if (!p->is_trained) fail("masks: {} is frozen, so it cannot be pruned in training", mask.name);
    if (find_mask(masks, mask.name) != &mask) fail("masks: two masks are for {}", mask.name);
    const bool is_whole = mask.kept.size() == static_cast<std::size_t>(p->rows * p->columns);
    if (mask.rows != p->rows || mask.columns != p->columns || !is_whole) {
      fail("masks: the mask of {} is {}x{} with {} numbers, the tensor is {}x{}", mask.name, mask.rows, mask.columns,
           mask.kept.size(), p->rows, p->columns);
    }
    const auto bad = std::find_if(mask.kept.begin(), mask.kept.end(), [](std::uint8_t kept) { return kept > 1; });
    if (bad != mask.kept.end()) {
      fail("masks: number {} of the mask of {} is {}, it must be 0 or 1", bad - mask.kept.begin(), mask.name,
           int{*bad});
    }
  }
}

/// Sets what is pruned to zero. The masks have to belong to the model.
template <Parameterized M>
void apply_masks(const WeightMasks& masks, M& model) {
  for (const auto& p : parameters_of(model)) {
    const WeightMask* const mask = find_mask(masks, p.name);
    if (mask == nullptr) continue;
    ICRL_ASSERT(mask->rows == p.rows && mask->columns == p.columns,
                "apply_masks: a mask has another shape than its tensor");
    for (std::size_t i = 0; i < mask->kept.size(); ++i)
      if (mask->kept[i] == 0) p.data[i] = 0;
  }
}

/// Share of the weights of all masks that is pruned; 0 without masks.
[[nodiscard]] inline double sparsity_of(const WeightMasks& masks) {
  std::size_t kept = 0, all = 0;
  for (const WeightMask& mask : masks) {
    // A sum, because std::count of zeros stops clang 14 where AVX-512 has no byte and word instructions.
    for (const std::uint8_t is_kept : mask.kept) kept += is_kept;
    all += mask.kept.size();
  }
  return all == 0 ? 0 : static_cast<double>(all - kept) / static_cast<double>(all);
}

/// Decides which weights are pruned while a model is trained. It is called before every update and returns new masks,
/// or none if they do not change. The result may depend only on the number of the update, the weights and the current
/// masks, so that a resumed run gets the same masks. `validate` throws Error if the pruner does not fit a run of this
/// many updates; `describe` tells runs with different pruners apart.
template <typename P, typename M>
concept Pruner = std::copyable<P> && requires(const P& pruner, const M& model, const WeightMasks& masks) {
  { pruner.next_masks(/*update*/ 0, model, masks) } -> std::same_as<std::optional<WeightMasks>>;
  { pruner.describe() } -> std::convertible_to<std::string>;
  pruner.validate(/*updates*/ 1);
};

/// Nothing is pruned.
struct NoPruner {
  template <typename M>
  [[nodiscard]] static std::optional<WeightMasks> next_masks(int, const M&, const WeightMasks&) {
    return {};
  }
  [[nodiscard]] static std::string describe() { return {}; }
  static void validate(int) {}
};

/// The same weights are pruned from the first update to the last: fine-tuning of a pruned model.
struct FixedMasks {
  WeightMasks masks;  ///< of the whole run; see WeightMask

  template <typename M>
  [[nodiscard]] std::optional<WeightMasks> next_masks(int update, const M&, const WeightMasks&) const {
    return update == 0 ? std::optional{masks} : std::nullopt;
  }
  [[nodiscard]] std::string describe() const {
    std::uint32_t checksum = 0;
    for (const WeightMask& mask : masks) {
      checksum = crc32c(std::as_bytes(std::span{mask.name}), checksum);
      checksum = crc32c(std::as_bytes(std::span{mask.kept}), checksum);
    }
    return fmt::format("fixed masks {:08x}", checksum);
  }
  static void validate(int) {}
};

namespace detail {

/// The masks of all chunks of a model, in the order of `weight_chunks`; empty if all weights are kept. They point into
/// `masks`.
template <Parameterized M>
[[nodiscard]] std::vector<std::span<const std::uint8_t>> mask_chunks(const WeightMasks& masks, const M& model) {
  const auto weights = weight_chunks<const ParameterScalar<M>>(model);
  std::vector<std::span<const std::uint8_t>> chunks;
  for (const auto& p : parameters_of(model)) {
    if (!p.is_trained) continue;
    const WeightMask* const mask = find_mask(masks, p.name);
    for (std::size_t first = 0, size = 0; first < p.numbers().size(); first += size) {
      size = weights[chunks.size()].weights.size();
      chunks.push_back(mask == nullptr ? std::span<const std::uint8_t>{} : std::span{mask->kept}.subspan(first, size));
    }
  }
  return chunks;
}

inline void write_masks(ByteWriter& out, const WeightMasks& masks) {
  out.value(static_cast<std::int32_t>(masks.size()));
  for (const WeightMask& mask : masks) {
    out.text(mask.name);
    out.values(std::span{mask.kept});
  }
}

/// Throws Error unless they fit the model.
template <Parameterized M>
[[nodiscard]] WeightMasks read_masks(ByteReader& in, const M& like) {
  const auto parameters = parameters_of(like);
  WeightMasks masks(static_cast<std::size_t>(
      in.value_in("number of masks", std::int32_t{0}, static_cast<std::int32_t>(parameters.size()))));
  for (WeightMask& mask : masks) {
    mask.name = in.text();
    const auto p =
        std::find_if(parameters.begin(), parameters.end(), [&](const auto& q) { return q.name == mask.name; });
    if (p == parameters.end())
      fail("{}: has a mask of the tensor \"{}\", which the model does not have", in.what(), mask.name);
    mask.rows = p->rows;
    mask.columns = p->columns;
    mask.kept.resize(static_cast<std::size_t>(p->rows * p->columns));
    in.values(std::span{mask.kept});
  }
  validate_masks(masks, like);
  return masks;
}

}  // namespace detail

}  // namespace icrl

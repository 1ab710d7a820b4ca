// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/compress/int8_transformer.hpp>
#include <icrl/core/fail.hpp>

namespace icrl::detail {

/// A finite number as C++ reads it back, bit for bit: a whole number times a power of two. It has no point, which fmt 9
/// takes from the locale of the C library in hexadecimal.
[[nodiscard]] inline std::string cpp_number(double number) {
  int exponent = 0;
  constexpr int digits = std::numeric_limits<double>::digits;
  const auto whole = static_cast<std::uint64_t>(std::ldexp(std::frexp(std::abs(number), &exponent), digits));
  const int zeros = whole == 0 ? 0 : std::countr_zero(whole);
  exponent = whole == 0 ? 0 : exponent - digits + zeros;
  return fmt::format("{}0x{:x}p{}", std::signbit(number) ? "-" : "", whole >> zeros, exponent);
}
[[nodiscard]] inline std::string cpp_number(float number) { return cpp_number(static_cast<double>(number)) + "f"; }

/// The initializer of an array, in lines of up to 120 characters.
class CppArray {
public:
  [[nodiscard]] std::int64_t size() const { return size_; }

  /// What comes next begins a line, behind a comment.
  void name(std::string_view text) {
    body_ += fmt::format("{}  // {}\n", column_ > 0 ? "\n" : "", text);
    column_ = 0;
  }
  void add(const std::string& element) {
    constexpr std::size_t last_column = 119;
    if (column_ > 0 && column_ + 1 + element.size() > last_column) {
      body_ += '\n';
      column_ = 0;
    }
    const std::string text = (column_ == 0 ? "  " : " ") + element + ',';
    body_ += text;
    column_ += text.size();
    ++size_;
  }
  void add(int number) { add(fmt::format("{}", number)); }

  /// `type name[] = {...};` There is at least one element, because C++ knows no empty arrays.
  [[nodiscard]] std::string definition(std::string_view type, std::string_view name, std::string_view zero) {
    if (size_ == 0) add(std::string{zero});
    return fmt::format("inline constexpr {} {}[] = {{\n{}\n}};\n", type, name, body_);
  }

private:
  std::string body_;
  std::size_t column_ = 0;
  std::int64_t size_ = 0;
};

/// The numbers of a model as arrays of C++: `bytes`, which hold codes and group scales, `halves`, `angles` and
/// `layers`.
class CppTables {
public:
  explicit CppTables(const Int8Transformer& model) {
    const Int8Embedding& embedding = model.embedding;
    embedding_rows_ = bytes_.size();
    bytes_.name("embedding.rows");
    for (Index i = 0; i < embedding.rows.size(); ++i) bytes_.add(int{embedding.rows.data()[i]});
    embedding_scales_ = add_halves("embedding.scale", embedding.scale);
    std::int64_t first_head = 0;
    for (std::size_t i = 0; i < model.blocks.size(); ++i) {
      const Int8Block& block = model.blocks[i];
      const std::string name = fmt::format("blocks.{}", i);
      // One after another, as they go into the arrays.
      const std::string attention_norm = add_norm(name + ".attention_norm", block.attention_norm);
      const std::string qkv = add_map(name + ".attention.qkv", block.qkv);
      const std::string output = add_map(name + ".attention.output", block.output);
      const std::string feed_forward_norm = add_norm(name + ".mlp_norm", block.feed_forward_norm);
      const std::string up = add_map(name + ".mlp.up", block.up), down = add_map(name + ".mlp.down", block.down);
      layers_ += fmt::format("  {{{}, {}, {},\n   {}, {}, {}, {}, {}}},\n", attention_norm, qkv, output,
                             feed_forward_norm, up, down, block.head_count, first_head);
      first_head += block.head_count;
      ++layer_count_;
    }
    final_norm_ = add_norm("final_norm", model.final_norm);
    head_ = add_map("head", model.head);
    if (model.rotary.empty()) return;
    const auto &cosines = model.rotary.cosines(), &sines = model.rotary.sines();
    for (Index t = 0; t < cosines.rows(); ++t)
      for (const auto* turn : {&cosines, &sines})
        for (Index i = 0; i < turn->cols(); ++i) angles_.add(cpp_number((*turn)(t, i)));
  }

  /// All definitions; to be called once.
  [[nodiscard]] std::string text() {
    std::string all = bytes_.definition("std::int8_t", "bytes", "0");
    all += halves_.definition("std::uint16_t", "halves", "0") + angles_.definition("float", "angles", "0");
    all += fmt::format("inline constexpr Layer layers[] = {{\n{}}};\n", layers_);
    all += fmt::format("inline constexpr Norm final_norm = {};\ninline constexpr Map head = {};\n", final_norm_, head_);
    return all + fmt::format("constexpr std::int32_t embedding_rows = {}, embedding_scales = {};\n", embedding_rows_,
                             embedding_scales_);
  }

  /// Bytes of what `text` defines.
  [[nodiscard]] std::int64_t byte_count() const {
    constexpr std::int64_t map = 9 * 4, norm = 2 * 4, layer = 4 * map + 2 * norm + 2 * 4;
    return bytes_.size() + 2 * halves_.size() + 4 * std::max<std::int64_t>(1, angles_.size()) + layer_count_ * layer +
           norm + map;
  }

private:
  std::int64_t add_halves(std::string_view name, const RowVector<Eigen::half>& numbers) {
    const std::int64_t offset = halves_.size();
    halves_.name(name);
    for (Index i = 0; i < numbers.size(); ++i)
      halves_.add(static_cast<int>(Eigen::numext::bit_cast<std::uint16_t>(numbers(i))));
    return offset;
  }

  std::string add_norm(const std::string& name, const Int8Norm& norm) {
    const std::int64_t gains = add_halves(name + ".gain", norm.gain), biases = add_halves(name + ".bias", norm.bias);
    return fmt::format("{{{}, {}}}", gains, biases);
  }

  /// Weights and group scales output by output.
  std::string add_map(const std::string& name, const Int8Linear& map) {
    const std::int64_t codes = bytes_.size();
    bytes_.name(name + ".weight");
    const QuantizedMatrix weights = map.quantized();
    for (Index o = 0; o < map.out; ++o) add_codes(weights, o);
    const std::int64_t group_scales = bytes_.size(), stride = (group_scales - codes) / map.out;
    if (map.group > 0) bytes_.name(name + ".group_scale");
    for (Index o = 0; map.group > 0 && o < map.out; ++o)
      for (Index g = 0; g < weights.group_count(); ++g)
        bytes_.add(int{weights.group_scales[static_cast<std::size_t>(g * map.out + o)]});
    const std::int64_t scales = add_halves(name + ".scale", map.scale), biases = add_halves(name + ".bias", map.bias);
    return fmt::format("{{{}, {}, {}, {}, {}, {}, {}, {}, {}}}", codes, group_scales, scales, biases, map.in, map.out,
                       map.bits, map.group, stride);
  }

  /// Those of one output, see Map in cpp_model_text.hpp.
  void add_codes(const QuantizedMatrix& weights, Index o) {
    const Index group = weights.group > 0 ? weights.group : weights.in;
    unsigned packed = 0;
    int used = 0;
    for (Index i = 0; i < weights.in; ++i) {
      const int code = weights.codes[static_cast<std::size_t>(i * weights.out + o)];
      const int stored = weights.bits == 2 ? (code - 1) / 2 : code;  // odd codes, so nothing is rounded
      packed |= (static_cast<unsigned>(stored) & ((1u << weights.bits) - 1)) << used;
      used += weights.bits;
      const bool ends = i + 1 == weights.in || (i + 1) % group == 0;
      for (; used >= 8 || (ends && used > 0); used = std::max(used - 8, 0), packed >>= 8)
        bytes_.add(int{static_cast<std::int8_t>(packed & 0xff)});
    }
  }

  CppArray bytes_, halves_, angles_;
  std::string layers_, final_norm_, head_;
  std::int64_t embedding_rows_ = 0, embedding_scales_ = 0, layer_count_ = 0;
};

/// The bounds of a space's numbers as an array of `Bounds`; of ids 0 and the last one.
[[nodiscard]] inline std::string cpp_bounds(const Space& space, std::string_view name) {
  CppArray bounds;
  const auto add = [&](float low, float high) {
    bounds.add(fmt::format("{{{}, {}}}", cpp_number(low), cpp_number(high)));
  };
  for (const int count : id_counts(space)) add(0, static_cast<float>(count - 1));
  if (const auto* box = std::get_if<Box>(&space)) {
    for (std::size_t i = 0; i < box->low.size(); ++i)  // all numbers are finite, even if their bounds are not
      add(std::max(box->low[i], std::numeric_limits<float>::lowest()),
          std::min(box->high[i], std::numeric_limits<float>::max()));
  }
  return bounds.definition("Bounds", name, "{0, 0}");
}

}  // namespace icrl::detail

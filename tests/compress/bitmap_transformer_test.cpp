// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/bitmap_transformer.hpp>

#include <bit>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <vector>

#include <icrl/compress/pruning.hpp>
#include <icrl/compress/smaller_model.hpp>
#include <icrl/io/model_file.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/small_model.hpp"
#include "support/temporary_folder.hpp"
#include "support/text_file.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

static_assert(LoadableModel<BitmapTransformer>);
static_assert(!Streaming<BitmapTransformer> && !Trainable<BitmapTransformer>);

namespace {

CausalTransformer<float> pruned_model(const TransformerConfig& config, double sparsity) {
  auto model = small_model(config, grid_layout());
  (void)prune(model, {.sparsity = sparsity, .scope = PruneScope::all});
  return model;
}

}  // namespace

TEST_CASE("A pruned model comes back bit for bit, from memory and from a file", "[compress]") {
  const TemporaryFolder folder;
  for (const TransformerConfig& config : all_schemes(7)) {
    for (const double sparsity : {0.0, 0.5, 0.8, 1.0}) {
      const auto model = pruned_model(config, sparsity);
      const BitmapTransformer bitmap{model};
      CHECK(fingerprint(bitmap.dense()) == fingerprint(model));
      save_model(bitmap, folder / "bitmap", {{"trained by", "a test"}});
      CHECK(read_model_kind(folder / "bitmap") == "bitmap_transformer");
      CHECK(read_model_info<BitmapTransformer>(folder / "bitmap").metadata.at("trained by") == "a test");
      const auto loaded = load_model<BitmapTransformer>(folder / "bitmap");
      CHECK(fingerprint(loaded.dense()) == fingerprint(model));
      CHECK(loaded.config == bitmap.config);
      CHECK(std::abs(loaded.density() - (1 - sparsity)) < 0.01);
    }
  }
}

TEST_CASE("Layers of different sizes and the sign of a zero come back, too", "[compress]") {
  auto model = pruned_model(small_config(5), 0.5);
  KeptParts kept = all_parts(model.config);
  kept.heads[1] = {1};
  kept.neurons[0] = {0, 3, 4};
  auto smaller = smaller_model(model, kept);
  smaller.blocks[0].attention.qkv.weight(0, 0) = -0.0f;
  smaller.blocks[0].attention.qkv.weight(0, 1) = 0.0f;
  const BitmapTransformer bitmap{smaller};
  CHECK((bitmap.bits[0] & 3) == 1);
  CHECK(std::bit_cast<std::uint32_t>(bitmap.values[0]) == 0x80000000u);
  CHECK(fingerprint(bitmap.dense()) == fingerprint(smaller));
}

TEST_CASE("A file of a pruned model is smaller by the share that was pruned", "[compress]") {
  const TemporaryFolder folder;
  const auto bytes_at = [&](double sparsity) {
    const auto model = pruned_model({.width = 64, .layer_count = 4, .head_count = 4, .context = 20}, sparsity);
    save_model(model, folder / "dense");
    save_model(BitmapTransformer{model}, folder / "bitmap");
    return static_cast<double>(std::filesystem::file_size(folder / "bitmap")) /
           static_cast<double>(std::filesystem::file_size(folder / "dense"));
  };
  CHECK(bytes_at(0.5) < 0.56);
  CHECK(bytes_at(0.8) < 0.27);
}

TEST_CASE("A file whose bits do not fit its values is refused", "[compress]") {
  const TemporaryFolder folder;
  const auto path = folder / "bitmap";
  // An odd number of weights, so that the last byte has bits to spare.
  const BitmapTransformer good{
      pruned_model({.width = 6, .layer_count = 1, .head_count = 1, .hidden = 1, .context = 3}, 0.5)};
  const auto weights = static_cast<std::size_t>(detail::map_weights(good.config));
  REQUIRE(weights % 8 != 0);
  const auto error_of_bits = [&](auto change) {
    BitmapTransformer bad = good;
    change(bad.bits);
    save_model(bad, path);
    return error_of([&] { (void)load_model<BitmapTransformer>(path); });
  };
  CHECK(error_of_bits([](auto&) {}).empty());
  const std::string more = error_of_bits([](auto& bits) {
    for (auto& byte : bits) byte = static_cast<std::uint8_t>(byte | 1u);
  });
  CHECK(more.find("bits are set, but there are") != more.npos);
  const std::string after = error_of_bits([&](auto& bits) {
    // As many as before: one is taken away, and one set after the last weight.
    for (auto& byte : bits) {
      if (byte == 0) continue;
      byte = static_cast<std::uint8_t>(byte & (byte - 1u));
      break;
    }
    bits.back() = static_cast<std::uint8_t>(bits.back() | 1u << weights % 8);
  });
  CHECK(after.find("a bit after the last weight is set") != after.npos);

  BitmapTransformer bad = good;
  bad.values[1] = std::numeric_limits<float>::quiet_NaN();
  CHECK(error_of([&] { save_model(bad, path); }).find("values") != std::string::npos);
  bad = good;
  bad.values.pop_back();
  save_model(bad, path);
  const std::string fewer = error_of([&] { (void)load_model<BitmapTransformer>(path); });
  CHECK(fewer.find("values is") != fewer.npos);
  save_model(pruned_model(small_config(3), 0.5), path);
  CHECK(error_of([&] { (void)load_model<BitmapTransformer>(path); }).find("holds a causal_transformer") !=
        std::string::npos);
}

TEST_CASE("A forged or cut file of a pruned model is refused, or holds a model", "[compress]") {
  const TemporaryFolder folder;
  save_model(
      BitmapTransformer{pruned_model({.width = 4, .layer_count = 1, .head_count = 1, .hidden = 4, .context = 3}, 0.5)},
      folder / "model");
  const std::vector<char> bytes = read_bytes(folder / "model");
  int models = 0, errors = 0;
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += 5) {
    write_bytes(folder / "forged", with_right_checksum(with_flipped_bit(bytes, bit)));
    const bool is_refused = !error_of([&] { (void)load_model<BitmapTransformer>(folder / "forged").dense(); }).empty();
    ++(is_refused ? errors : models);
  }
  CHECK(models > 0);
  CHECK(errors > 0);
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    write_bytes(folder / "cut", std::span{bytes}.first(size));
    CHECK_FALSE(error_of([&] { (void)load_model<BitmapTransformer>(folder / "cut"); }).empty());
  }
}

TEST_CASE("More kept weights than there are weights are refused", "[compress]") {
  BitmapTransformerConfig config{{.width = 8, .layer_count = 1, .head_count = 1, .context = 3}, 769};
  CHECK(error_of([&] { validate(config); }) ==
        "bitmap transformer: kept_weights is 769, but the blocks' maps have 768");
  config.kept_weights = 768;
  CHECK_NOTHROW(validate(config));
}

// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/checkpoint.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <icrl/core/checked_file.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using Model = CausalTransformer<float>;

Model tiny_model(std::uint64_t seed) { return small_model(tiny_config(), tiny_layout(), seed); }

/// A variance is never negative.
Model squares(Model model) {
  for (const auto& p : parameters_of(model))
    for (float& number : p.numbers()) number *= number;
  return model;
}

constexpr DistilProgress progress{
    .update = 12, .tokens = 1ll << 40, .seconds = 0.1, .loss = 1.0 / 3, .best_update = 9, .best_score = -2.5};

/// The file with the checksum that it should have, as one who forges a checkpoint would write it.
std::vector<char> with_right_crc(std::vector<char> bytes) {
  constexpr std::size_t crc_offset = 12;
  const std::uint32_t crc = crc32c(std::as_bytes(std::span{bytes}.subspan(CheckedFile::header_size)));
  std::memcpy(bytes.data() + crc_offset, &crc, sizeof crc);
  return bytes;
}

struct Fixture {
  TemporaryFolder folder;
  std::filesystem::path path = folder / "run.ckpt";
  Model model = tiny_model(1), mean = tiny_model(2), variance = squares(tiny_model(3)), average = tiny_model(4),
        best = tiny_model(5);

  std::string read_error(const Model& like, std::string_view config = "a run") {
    return error_of([&] { (void)read_checkpoint(path, config, like); });
  }
  std::string error_of_bytes(const std::vector<char>& bytes) {
    write_bytes(path, bytes);
    return read_error(model);
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "A checkpoint comes back bit for bit, with what it has and without what it has not",
                 "[train]") {
  for (const bool has_average : {false, true})
    for (const bool has_best : {false, true}) {
      write_checkpoint(path, "a run", progress, model, mean, variance, has_average ? &average : nullptr,
                       has_best ? &best : nullptr);

      const Checkpoint<Model> found = read_checkpoint(path, "a run", tiny_model(6));

      CHECK(found.progress.update == 12);
      CHECK(found.progress.tokens == 1ll << 40);
      CHECK(found.progress.seconds == 0.1);
      CHECK(found.progress.loss == 1.0 / 3);
      CHECK(found.progress.best_update == 9);
      CHECK(found.progress.best_score == -2.5);
      CHECK(have_equal_bits(found.model, model));
      CHECK(have_equal_bits(found.mean, mean));
      CHECK(have_equal_bits(found.variance, variance));
      REQUIRE(found.average.has_value() == has_average);
      REQUIRE(found.best.has_value() == has_best);
      if (has_average) CHECK(have_equal_bits(*found.average, average));
      if (has_best) CHECK(have_equal_bits(*found.best, best));
    }
}

TEST_CASE("Copied weights lie where they lay", "[train]") {
  Model from = tiny_model(1), to = tiny_model(2);
  const float* const place = to.head.weight.data();

  copy_weights(from, to);

  CHECK(have_equal_bits(from, to));
  CHECK(to.head.weight.data() == place);
}

TEST_CASE_METHOD(Fixture, "A checkpoint of another model or run is refused with what differs", "[train]") {
  write_checkpoint<Model>(path, "a run", progress, model, mean, variance, nullptr, nullptr);
  TransformerConfig wider = tiny_config();
  wider.width = 4;
  const auto other = small_model(wider, tiny_layout());
  const auto wide_numbers = small_model<double>(tiny_config(), tiny_layout());

  CHECK(read_error(model).empty());
  const std::string models = read_error(other);
  CHECK(models == "checkpoint \"" + path.string() + "\": belongs to another model (width 2); this one is (width 4)");
  CHECK(has(error_of([&] { (void)read_checkpoint(path, "a run", wide_numbers); }), "64-bit"));
  const std::string runs = read_error(model, "another one");
  CHECK(has(runs,
            "is of another run (a run); this one is (another one); remove it to start afresh, or name another file"));
}

TEST_CASE_METHOD(Fixture, "A checkpoint cut at any byte or with any bit flipped is an Error", "[train]") {
  write_checkpoint(path, "a run", progress, model, mean, variance, &average, &best);
  const auto bytes = read_bytes(path);
  REQUIRE(read_error(model).empty());

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    REQUIRE_FALSE(error_of_bytes({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}).empty());
  }
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += bit < 8 * 600 ? 1 : 5) {  // the weights lie behind the texts
    CAPTURE(bit);
    REQUIRE_FALSE(error_of_bytes(with_flipped_bit(bytes, bit)).empty());
  }
  CHECK(error_of_bytes(bytes).empty());
}

TEST_CASE_METHOD(Fixture, "A forged checkpoint with a right checksum is an Error or a checkpoint, never a crash",
                 "[train]") {
  write_checkpoint(path, "a run", progress, model, mean, variance, &average, &best);
  const auto bytes = read_bytes(path);
  const std::size_t texts = 24, first_weight = texts + 4 + describe(model).size() + 4 + 5 + 42;
  int read = 0, refused = 0;

  for (std::size_t bit = 8 * texts; bit < 8 * (first_weight + 4); ++bit)
    ++(error_of_bytes(with_right_crc(with_flipped_bit(bytes, bit))).empty() ? read : refused);

  CHECK(read > 0);
  CHECK(refused > read);
}

TEST_CASE_METHOD(Fixture, "Numbers that no run can go on with are refused by name", "[train]") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const auto error_with = [&](DistilProgress changed) {
    write_checkpoint(path, "a run", changed, model, mean, variance, &average, &best);
    return read_error(model);
  };
  const auto error_in = [&](Model& weights, float number) {
    const float kept = std::exchange(weights.head.weight(1, 0), number);
    const std::string error = error_with(progress);
    weights.head.weight(1, 0) = kept;
    return error;
  };
  const auto changed = [](auto member, auto number) {
    DistilProgress other = progress;
    other.*member = number;
    return other;
  };

  CHECK(error_with(progress).empty());
  CHECK(has(error_with(changed(&DistilProgress::tokens, std::numeric_limits<std::int64_t>::max())), "tokens is 9223"));
  CHECK(has(error_with(changed(&DistilProgress::tokens, std::int64_t{-1})), "tokens is -1, it must lie in 0 .. "));
  CHECK(has(error_with(changed(&DistilProgress::seconds, -1.0)), "seconds is -1"));
  CHECK(has(error_with(changed(&DistilProgress::loss, std::nan(""))), "loss is nan"));
  CHECK(has(error_with(changed(&DistilProgress::best_score, std::nan(""))), "best score is nan"));
  CHECK(error_with(changed(&DistilProgress::best_score, -HUGE_VAL)).empty());
  CHECK(has(error_in(model, nan),
            "run.ckpt\": weights: number 2 of head.weight is nan, it must be finite for training to continue"));
  CHECK(has(error_in(mean, -infinity), "mean of gradients: number 2 of head.weight is -inf"));
  CHECK(has(error_in(variance, -1), "variance of gradients: number 2 of head.weight is -1"));
  CHECK(has(error_in(variance, nan), "variance of gradients: number 2 of head.weight is nan"));
  CHECK(error_in(variance, infinity).empty());  // a large gradient's square
  CHECK(has(error_in(average, infinity), "averaged weights: number 2 of head.weight is inf"));
  CHECK(has(error_in(best, nan), "best weights: number 2 of head.weight is nan"));
}

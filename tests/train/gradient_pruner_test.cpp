// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/gradient_pruner.hpp>

#include <cmath>
#include <limits>
#include <mutex>

#include <icrl/train/distil.hpp>

#include "support/batch_gradient.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/saved_state.hpp"
#include "support/temporary_folder.hpp"
#include "support/thread_ranks.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

constexpr const char* read_name = "blocks.0.mlp.up.weight";

/// Keeps, from every second update on, the weights of one tensor whose gradients, summed over these updates, have at
/// least the tensor's mean size.
struct KeepLargeGradients {
  bool reads = true;

  template <typename M>
  [[nodiscard]] std::optional<WeightMasks> next_masks(int update, const M&, const WeightMasks&) const {
    if (update != 0) return {};
    WeightMask mask{read_name, 16, 64, std::vector<std::uint8_t>(16 * 64)};
    for (std::size_t i = 0; i < mask.kept.size(); ++i) mask.kept[i] = i % 3 == 0 ? 1 : 0;
    return WeightMasks{mask};
  }
  [[nodiscard]] bool reads_gradient(int update) const { return reads && update % 2 == 1; }
  template <typename M>
  [[nodiscard]] std::optional<WeightMasks> on_gradient(int, const M&, const WeightMasks& masks,
                                                       const LossGradient<typename M::Scalar>& gradient,
                                                       WeightScores& scores) const {
    const auto& tensor = gradient.tensor(read_name);
    if (scores.empty()) scores.push_back({read_name, std::vector<double>(tensor.sum.size())});
    double mean = 0;
    for (std::size_t i = 0; i < tensor.sum.size(); ++i) {
      scores[0].numbers[i] += gradient.scale * static_cast<double>(tensor.sum[i]);
      mean += std::abs(scores[0].numbers[i]) / static_cast<double>(tensor.sum.size());
    }
    WeightMasks next = masks;
    for (std::size_t i = 0; i < tensor.sum.size(); ++i)
      next[0].kept[i] = std::abs(scores[0].numbers[i]) >= mean ? 1 : 0;
    return next;
  }
  [[nodiscard]] static bool keeps_scores() { return true; }
  [[nodiscard]] static std::string describe() { return "large gradients"; }
  static void validate(int) {}
};
static_assert(GradientPruner<KeepLargeGradients, CausalTransformer<float>>);
static_assert(!GradientPruner<FixedMasks, CausalTransformer<float>>);

/// Decides the same before each update.
struct KeepAllAgain {
  template <typename M>
  [[nodiscard]] std::optional<WeightMasks> next_masks(int, const M&, const WeightMasks&) const {
    return WeightMasks{{read_name, 16, 64, std::vector<std::uint8_t>(16 * 64, 1)}};
  }
  [[nodiscard]] static std::string describe() { return "keeps all"; }
  static void validate(int) {}
};

template <typename S>
using ReadingTrainer = DistilTrainer<CausalTransformer<S>, ActionCrossEntropy, OneRank, KeepLargeGradients>;

}  // namespace

TEST_CASE("A pruner reads the complete gradient of the weights before the update", "[train]") {
  const SmallRun run;
  DistilConfig config = one_slot_distil(4);
  config.max_gradient_norm = 1e-3;  // clipping has no part in it
  auto model = run.model<double>();
  ReadingTrainer<double> trainer{model, run.sampler, config, {}, {}, {}};
  (void)trainer.step();
  const auto before = model;
  const WeightMasks masks_before = trainer.masks();

  const double norm = trainer.step().gradient_norm;

  auto gradient = batch_gradient(run, config, before, 1);
  const auto& plain = gradient.blocks[0].feed_forward.up.weight;
  const auto state = saved_state(trainer, run, model, "large gradients", true);
  REQUIRE(state.scores.size() == 1);
  const double mean = plain.cwiseAbs().mean();
  int grown = 0;
  for (std::size_t i = 0; i < 16 * 64; ++i) {
    const double number = plain.data()[i];
    CHECK(state.scores[0].numbers[i] == Approx(number).epsilon(1e-9).margin(1e-15));
    const bool is_kept = trainer.masks()[0].kept[i] != 0;
    CHECK(is_kept == (std::abs(number) >= mean));
    grown += is_kept && masks_before[0].kept[i] == 0 ? 1 : 0;
    const double* const numbers[] = {
        state.model.blocks[0].feed_forward.up.weight.data(), state.mean.blocks[0].feed_forward.up.weight.data(),
        state.variance.blocks[0].feed_forward.up.weight.data(), state.average->blocks[0].feed_forward.up.weight.data()};
    for (const double* of : numbers) CHECK((of[i] != 0) == is_kept);  // what is grown is trained in this update
  }
  CHECK(grown > 0);
  // The norm, by which the gradient is clipped, is that of the new masks.
  apply_masks(trainer.masks(), gradient);
  double squares = 0;
  for (const double number : weights_of(gradient)) squares += number * number;
  CHECK(norm == Approx(std::sqrt(squares)).epsilon(1e-9));
}

TEST_CASE("Masks that are decided again as they were leave the best weights as they are", "[train]") {
  const SmallRun run;
  auto model = run.model<float>();
  DistilTrainer<CausalTransformer<float>, ActionCrossEntropy, OneRank, KeepAllAgain> trainer{
      model, run.sampler, one_slot_distil(4), {}, {}, {}};
  (void)trainer.step();
  trainer.offer(0.5);
  const auto offered = trainer.best();

  (void)trainer.step();

  CHECK(weights_of(trainer.best()) == weights_of(offered));
  CHECK(trainer.progress().best_score == 0.5);
}

TEST_CASE("A pruner that could read gradients but does not changes nothing", "[train]") {
  const SmallRun run;
  auto plain = run.model<float>(), read = plain;
  const KeepLargeGradients silent{.reads = false};
  const WeightMasks masks = *silent.next_masks(0, plain, {});
  DistilTrainer<CausalTransformer<float>, ActionCrossEntropy, OneRank, FixedMasks> fixed{
      plain, run.sampler, small_distil(6), {}, {}, FixedMasks{masks}};
  ReadingTrainer<float> reading{read, run.sampler, small_distil(6), {}, {}, silent};
  for (int update = 0; update < 6; ++update) CHECK(fixed.step().gradient_norm == reading.step().gradient_norm);
  CHECK(have_equal_bits(plain, read));
}

TEST_CASE("A pruner that reads gradients resumes bit for bit, and ranks agree", "[train]") {
  const SmallRun run;
  const DistilConfig config = small_distil(8);
  auto whole = run.model<float>();
  ReadingTrainer<float> trainer{whole, run.sampler, config, {}, {}, {}};
  for (int update = 0; update < 8; ++update) (void)trainer.step();
  const TemporaryFolder folder;
  for (const int stop : {0, 1, 2, 5}) {
    CAPTURE(stop);
    auto part = run.model<float>(), model = part;
    ReadingTrainer<float> first{part, run.sampler, config, {}, {}, {}};
    for (int update = 0; update < stop; ++update) (void)first.step();
    first.save(folder / "run.ckpt");
    ReadingTrainer<float> rest{model, run.sampler, config, {}, {}, {}};
    rest.restore(folder / "run.ckpt");
    for (int update = stop; update < 8; ++update) (void)rest.step();
    CHECK(have_equal_bits(model, whole));
    CHECK(saved_state(rest, run, model, "large gradients", true).scores ==
          saved_state(trainer, run, whole, "large gradients", true).scores);
  }

  std::mutex mutex;
  std::vector<float> found;
  ThreadRanks::run(2, [&](ThreadRanks& ranks) {
    auto mine = run.model<float>();
    struct Nobody {};
    (void)distil(mine, run.sampler, config, Nobody{}, ActionCrossEntropy{}, ranks, KeepLargeGradients{});
    const std::lock_guard lock{mutex};
    if (ranks.rank() == 0) found = weights_of(mine);
  });
  CHECK(found == weights_of(trainer.best()));
}

TEST_CASE("Scores of a checkpoint must fit the model", "[train]") {
  const SmallRun run;
  const auto model = run.model<float>();
  const auto refusal = [&](const WeightScores& scores) {
    ByteWriter out;
    detail::write_scores(out, scores);
    ByteReader in{out.bytes(), "checkpoint \"a\""};
    WeightScores found;
    const std::string error = error_of([&] {
      found = detail::read_scores(in, model);
      in.check_end();
    });
    if (error.empty()) CHECK(found == scores);
    return error;
  };
  const TensorScores good{"blocks.1.mlp.up.bias", std::vector<double>(64, -2.5)};
  TensorScores bad = good;
  CHECK(refusal({}).empty());
  CHECK(refusal({good}).empty());
  bad.name = "blocks.9.mlp.up.bias";
  CHECK(refusal({bad}) ==
        "checkpoint \"a\": has scores of the tensor \"blocks.9.mlp.up.bias\", which the model does not train");
  CHECK(refusal({good, good}) == "checkpoint \"a\": has scores of blocks.1.mlp.up.bias twice");
  bad = good;
  bad.numbers[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK(has(refusal({bad}), "a score of blocks.1.mlp.up.bias is nan, it must be finite"));
  bad = good;
  bad.numbers.pop_back();
  CHECK(has(refusal({bad}), "too soon"));
}

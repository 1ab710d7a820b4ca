// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/causal_transformer.hpp>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/model/mixture_transformer.hpp>
#include <icrl/train/distil.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/int8_linear.hpp"
#include "support/low_rank_linear.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

// Transformers of other parts: each is a list of types, and no header of the library knows of it.
namespace {

struct Int8Parts : DenseParts<float> {
  using Linear = Int8Linear;
  using FeedForward = icrl::FeedForward<float, Int8Linear>;
};
template <std::floating_point S>
struct LowRankParts : DenseParts<S> {
  using Linear = LowRankLinear<S>;
  using FeedForward = icrl::FeedForward<S, LowRankLinear<S>>;
};
using Int8Transformer = CausalTransformer<float, Int8Parts>;
using LowRankTransformer = CausalTransformer<float, LowRankParts<float>>;

static_assert(Streaming<Int8Transformer> && !Trainable<Int8Transformer> && !HasBf16Pass<Int8Transformer>);
static_assert(Streaming<LowRankTransformer> && Trainable<LowRankTransformer>);

/// The losses of a run.
struct LossesOfParts {
  std::vector<double> values;
  void on_update(const DistilMetrics& metrics) { values.push_back(metrics.loss); }
};

/// Gives `other` all of a dense transformer but the linear maps of its blocks.
template <typename M>
void copy_all_but_maps(const CausalTransformer<float>& dense, M& other) {
  other.embedding = dense.embedding;
  other.final_norm = dense.final_norm;
  other.head = dense.head;
  for (std::size_t i = 0; i < dense.blocks.size(); ++i) {
    other.blocks[i].attention_norm = dense.blocks[i].attention_norm;
    other.blocks[i].feed_forward_norm = dense.blocks[i].feed_forward_norm;
  }
}

/// What an agent over the model said at each of its steps, in an environment that answers by chance.
template <typename M>
std::vector<float> outputs_of(const M& model, int steps) {
  InContextAgent agent{model};
  std::vector<float> observation(static_cast<std::size_t>(model.layout.observation_size())),
      action(static_cast<std::size_t>(model.layout.action_size())), all;
  Rng world{4};
  for (int t = 0; t < steps; ++t) {
    sample(model.layout.observation_space, world, observation);
    agent.act(observation, action, world);
    all.insert(all.end(), agent.outputs().begin(), agent.outputs().end());
    std::fill(action.begin(), action.end(), 0.0f);
    agent.learn({observation, action, 0.5f, observation, t % 3 == 2, false});
  }
  return all;
}

}  // namespace

TEST_CASE("A transformer of maps of 8 bits acts like the one it was made of", "[train]") {
  const SmallRun run;
  const auto dense = run.model<float>();
  Int8Transformer small{dense.config, dense.layout};
  copy_all_but_maps(dense, small);
  for (std::size_t i = 0; i < dense.blocks.size(); ++i) {
    small.blocks[i].attention.qkv = Int8Linear{dense.blocks[i].attention.qkv};
    small.blocks[i].attention.output = Int8Linear{dense.blocks[i].attention.output};
    small.blocks[i].feed_forward.up = Int8Linear{dense.blocks[i].feed_forward.up};
    small.blocks[i].feed_forward.down = Int8Linear{dense.blocks[i].feed_forward.down};
  }
  const std::vector<float> expected = outputs_of(dense, 60), found = outputs_of(small, 60);
  float largest = 0, difference = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    difference = std::max(difference, std::abs(expected[i] - found[i]));
  }
  CHECK(difference > 0);
  CHECK(difference < 0.05f * largest);
}

TEST_CASE("A mixture of experts is distilled and acts, and its loss is the plain cross-entropy", "[train]") {
  const SmallRun run;
  const MixtureTransformerConfig config{
      run.shape, {.expert_count = 4, .balance_weight = 100, .z_weight = 100, .capacity_factor = 1.25}};
  MixtureTransformer<float> model{config, run.layout};
  Rng rng{1};
  model.initialize(rng);
  ContextBatch batch;
  run.sampler.sample(6, rng, batch);
  const ActionCrossEntropy objective;
  WindowScratch<MixtureTransformer<float>> scratch;
  MixtureTransformer<float> grad = model, plain_grad = model, plain = model;
  for (auto& block : plain.blocks) block.feed_forward.config.balance_weight = block.feed_forward.config.z_weight = 0;
  for (int window = 0; window < 6; ++window) {
    CHECK(window_loss(model, objective, batch, window, scratch, grad) ==
          window_loss(plain, objective, batch, window, scratch, plain_grad));
  }
  CHECK(grad.blocks[0].feed_forward.router.weight != plain_grad.blocks[0].feed_forward.router.weight);

  for (auto& block : model.blocks) block.feed_forward.config = {.expert_count = 4, .capacity_factor = 1.25};
  LossesOfParts losses;
  (void)distil(model, run.sampler, small_distil(40), losses);
  CHECK(losses.values.back() < losses.values.front());
  for (const float output : outputs_of(model, 20)) CHECK(std::isfinite(output));
}

TEST_CASE("The load-balance loss keeps the load of experts even", "[train]") {
  const SmallRun run;
  std::vector<double> variation;
  for (const double balance_weight : {0.0, 0.1}) {
    const MixtureTransformerConfig config{
        run.shape, {.expert_count = 8, .experts_per_token = 1, .balance_weight = balance_weight, .z_weight = 0}};
    MixtureTransformer<float> model{config, run.layout};
    Rng rng{1};
    model.initialize(rng);
    for (auto& block : model.blocks) block.feed_forward.router.bias << 2, 1, 0, 0, 0, 0, 0, 0;  // a bad beginning
    DistilConfig training = small_distil(150);
    training.ema_decay = 0;
    LossesOfParts losses;
    (void)distil(model, run.sampler, training, losses);
    ContextBatch batch;
    run.sampler.sample(64, rng, batch);
    double largest = 0;
    for (const ExpertLoad& load : expert_loads(model, batch))
      largest = std::max(largest, load.coefficient_of_variation());
    variation.push_back(largest);
  }

  CAPTURE(variation[0], variation[1]);
  CHECK(variation[1] < 0.5);
  CHECK(variation[0] > 2 * variation[1]);
}

TEST_CASE("A mixture's checkpoint goes on with the same bits, and only with its own configuration", "[train]") {
  const SmallRun run;
  const TemporaryFolder folder;
  const auto make = [&](const MixtureConfig& mixture) {
    MixtureTransformer<float> model{{run.shape, mixture}, run.layout};
    Rng rng{1};
    model.initialize(rng);
    return model;
  };
  const DistilConfig config = small_distil(8);
  auto whole = make({.expert_count = 4}), first = whole, second = whole,
       other = make({.expert_count = 4, .z_weight = 1});
  DistilTrainer all{whole, run.sampler, config}, half{first, run.sampler, config}, rest{second, run.sampler, config},
      stranger{other, run.sampler, config};

  for (int i = 0; i < 8; ++i) all.step();
  for (int i = 0; i < 4; ++i) half.step();
  half.save(folder / "state");
  rest.restore(folder / "state");
  for (int i = 0; i < 4; ++i) rest.step();

  CHECK(have_equal_bits(second, whole));
  CHECK(has(error_of([&] { stranger.restore(folder / "state"); }), "z-loss 0.001"));
}

TEST_CASE("Of a transformer with low-rank adapters only the adapters of its maps are trained", "[train]") {
  const SmallRun run;
  const auto dense = run.model<float>();
  LowRankTransformer model{dense.config, dense.layout};
  Rng rng{1};
  model.initialize(rng);
  copy_all_but_maps(dense, model);
  for (std::size_t i = 0; i < dense.blocks.size(); ++i) {
    model.blocks[i].attention.qkv.base = dense.blocks[i].attention.qkv;
    model.blocks[i].attention.output.base = dense.blocks[i].attention.output;
    model.blocks[i].feed_forward.up.base = dense.blocks[i].feed_forward.up;
    model.blocks[i].feed_forward.down.base = dense.blocks[i].feed_forward.down;
  }
  CHECK(outputs_of(model, 20) == outputs_of(dense, 20));  // adapters begin at zero

  LossesOfParts losses;
  (void)distil(model, run.sampler, small_distil(40), losses);
  CHECK(losses.values.back() < losses.values.front());
  for (std::size_t i = 0; i < dense.blocks.size(); ++i) {
    CHECK(model.blocks[i].attention.qkv.base.weight == dense.blocks[i].attention.qkv.weight);
    CHECK(model.blocks[i].feed_forward.down.base.bias == dense.blocks[i].feed_forward.down.bias);
    CHECK(!model.blocks[i].attention.qkv.b.isZero());
  }
  const AdamW<LowRankTransformer> optimizer{model, {}};
  CHECK(optimizer.mean().blocks[0].attention.qkv.base.weight.size() == 0);
  CHECK(optimizer.mean().blocks[0].attention.qkv.a.size() > 0);
}

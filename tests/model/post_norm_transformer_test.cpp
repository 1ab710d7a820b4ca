// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/post_norm_transformer.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/model/bf16_transformer.hpp>
#include <icrl/model/dropout_transformer.hpp>
#include <icrl/model/fingerprint.hpp>
#include <icrl/model/value_head.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"
#include "support/recomputation.hpp"
#include "support/small_model.hpp"
#include "support/temporary_folder.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using PostNormModel = PostNormTransformer<float>;
static_assert(Trainable<PostNormModel> && Streaming<PostNormModel> && LoadableModel<PostNormModel>);
static_assert(!HasBf16Pass<PostNormModel> && HasDropoutPass<PostNormModel>);
static_assert(PostNormModel::kind == "post_norm_transformer");
static_assert(CausalTransformer<float, ValueParts<float, PostNormParts<float>>>::kind == "value_post_norm_transformer");

template <typename S>
PostNormTransformer<S> random_post_norm(const TransformerConfig& config, const StepLayout& layout) {
  PostNormTransformer<S> model{config, layout};
  Rng rng{3};
  randomise(model, rng, 0.3);
  return model;
}

}  // namespace

TEST_CASE("A post-norm transformer has the gradient of its outputs, also with dropout", "[model][gradient]") {
  for (const TransformerConfig& config : all_schemes(7)) {
    CAPTURE(config.positions, config.tokens);
    const StepLayout layout = grid_layout();
    auto model = random_post_norm<double>(config, layout);
    Rng rng{4};
    const std::vector<float> features = random_features(layout, 6, rng);
    const Matrix<double> slope = random_matrix(6, model.output_count(), rng);
    const auto check = [&](const auto& pass, auto& cache) {
      Matrix<double> outputs(6, model.output_count());
      auto grad = model;
      set_zero(grad);
      pass.forward(features, 6, cache, outputs);
      pass.backward(features, 6, slope, cache, grad);
      const auto [error, name] = worst_parameter_error(model, grad, [&] {
        pass.forward(features, 6, cache, outputs);
        return slope.cwiseProduct(outputs).sum();
      });
      INFO("worst tensor: " << name);
      CHECK(error < 1e-8);
    };
    PostNormTransformer<double>::Cache cache;
    check(model, cache);
    const DropoutPass<PostNormTransformer<double>> dropping{model,
                                                            {.embedding = 0.2, .residual = 0.3, .attention = 0.4}};
    DropoutPass<PostNormTransformer<double>>::Cache dropping_cache;
    dropping_cache.masks = Rng{5};
    check(dropping, dropping_cache);
  }
}

TEST_CASE("The head of a post-norm transformer reads what the last block's norm puts out", "[model]") {
  const StepLayout layout = grid_layout();
  const auto model = random_post_norm<double>(all_schemes(7)[0], layout);
  Rng rng{4};
  const std::vector<float> features = random_features(layout, 6, rng);
  PostNormTransformer<double>::Cache cache;
  Matrix<double> outputs(6, model.output_count());

  model.forward(features, 6, cache, outputs);

  const auto& last = model.blocks.back().feed_forward_norm;
  Matrix<double> normed(6, 8);
  last.restore(cache.blocks.back().feed_forward_norm, normed);
  const Matrix<double> expected = (normed * model.head.weight).rowwise() + model.head.bias;
  CHECK((outputs - expected).norm() < 1e-12);
  for (const auto& p : parameters_of(model)) CHECK(p.name.find("final_norm") == std::string::npos);
  CHECK(PostNormTransformer<double>::weight_count(model.config, layout) == parameter_count(model));
}

TEST_CASE("A post-norm transformer streams what its forward pass gives, under every scheme", "[model][streaming]") {
  for (const StepLayout& layout : {grid_layout(), number_layout()}) {
    for (const TransformerConfig& config : all_schemes(30)) {
      const auto model = random_post_norm<float>(config, layout);
      Rng rng{4};
      const std::vector<float> features = random_features(layout, 30, rng);
      PostNormModel::Cache cache;
      Matrix<float> whole(30, model.output_count()), one(1, model.output_count());
      model.forward(features, 30, cache, whole);
      auto states = model.make_states(1);
      PostNormModel::StreamWorkspace workspace;
      for (int t = 0; t < 30; ++t) {
        const StreamInput<PostNormModel::State> input{&states[0], features.data() + t * layout.feature_count()};
        model.step({&input, 1}, workspace, one);
        CHECK(difference<float>(whole.row(t), {one.data(), static_cast<std::size_t>(one.size())}) <=
              streaming_tolerance<float>);
      }
    }
  }
}

TEST_CASE("An agent over a post-norm transformer acts by the window that it remembers, and allocates nothing",
          "[model][streaming]") {
  const StepLayout layout = id_layout(true);
  const auto model = random_post_norm<float>(small_config(12), layout);
  InContextAgent agent{model};
  Recomputation recomputation{model};
  StepStream stream{layout};
  std::vector<float> row(static_cast<std::size_t>(layout.feature_count())), action(1);
  Rng rng{4};
  int compared = 0;
  std::int64_t allocations = 0;
  for (const FakeStep& step : fake_life(layout, 120, 4, 5)) {
    stream.observe(step.observation, row);
    recomputation.add(row);
    {
      const AllocationCount count;
      agent.act(step.observation, action, rng);
      if (compared > 30) allocations += count.count();
    }
    CHECK(difference<float>(recomputation.last_outputs(agent.remembered_steps()), agent.outputs()) <=
          streaming_tolerance<float>);
    ++compared;
    agent.learn({step.observation, action, step.reward, step.next_observation, false, step.is_last});
    stream.record(action, step.reward, step.is_last);
    if (!step.is_last) continue;
    stream.close(step.next_observation, row);
    recomputation.add(row);
  }
  CHECK(compared >= 120);
  CHECK(allocations == 0);
}

TEST_CASE("A post-norm transformer comes back from its file, which no other model reads", "[model]") {
  const TemporaryFolder folder;
  const StepLayout layout = id_layout();
  const auto model = random_post_norm<float>(small_config(6), layout);
  const auto plain = small_model<float>(small_config(6), layout);

  save_model(model, folder / "post.safetensors");
  save_model(plain, folder / "pre.safetensors");
  const auto loaded = load_model<PostNormModel>(folder / "post.safetensors");

  CHECK(fingerprint(loaded) == fingerprint(model));
  CHECK(describe(model) == "post_norm_transformer, " + describe(plain));
  CHECK(read_model_kind(folder / "post.safetensors") == "post_norm_transformer");
  CHECK(has(error_of([&] { (void)load_model<CausalTransformer<float>>(folder / "post.safetensors"); }),
            "holds a post_norm_transformer, not a causal_transformer"));
  CHECK(has(error_of([&] { (void)load_model<PostNormModel>(folder / "pre.safetensors"); }),
            "holds a causal_transformer, not a post_norm_transformer"));
}

// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/compress.hpp>

#include <string>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/model/post_norm_transformer.hpp>
#include <icrl/model/recurrent_model.hpp>

#include "support/catch.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

TransformerConfig compressible_config() {
  return {.width = 16, .layer_count = 3, .head_count = 2, .hidden = 32, .context = 8};
}

/// Every kind of step once.
Recipe full_recipe(int threads = 1) {
  DistilConfig training = small_distil(12);
  training.thread_count = threads;
  return {
      {KeepBestParts{.counts = {.layers = 2, .neurons = 0.5}, .windows = 8}, FineTune{.training = training},
       PruneGradually{.weights = {.criterion = PruneCriterion::wanda, .scope = PruneScope::output},
                      .schedule = {.final_sparsity = 0.5, .begin = 0, .end = 8, .every = 2},
                      .fine_tuning = {.training = training},
                      .norm_windows = 8},
       Quantize{.rules = {{.pattern = "blocks.*", .how = WeightQuantization{.bits = 4, .group = 8}}}, .windows = 8}}};
}

/// The outputs of a model for a stream of rows, one after another.
template <typename M>
Matrix<float> streamed(const M& model, const std::vector<float>& rows) {
  const auto size = static_cast<std::size_t>(model.layout.feature_count());
  std::vector<typename M::State> states = model.make_states(1);
  typename M::StreamWorkspace workspace;
  model.reserve(workspace, 1);
  Matrix<float> outputs(static_cast<Index>(rows.size() / size), model.actions.parameter_count());
  for (Index t = 0; t < outputs.rows(); ++t) {
    const StreamInput<typename M::State> input{&states.front(), rows.data() + static_cast<std::size_t>(t) * size};
    model.step({&input, 1}, workspace, outputs.row(t));
  }
  return outputs;
}

/// Whether the integer model acts as the float model of the same weights does.
bool integers_follow(const Compressed& small) {
  Rng rng{5};
  const std::vector<float> rows = random_features(small.model.layout, 8, rng);
  const Matrix<float> exact = streamed(small.model, rows);
  return (streamed(*small.integers, rows) - exact).norm() < 0.05F * exact.norm();
}

struct StepLog {
  std::vector<std::string> steps;
  void on_step(int number, std::string_view name) { steps.push_back(std::to_string(number) + " " + std::string{name}); }
};

}  // namespace

TEST_CASE("A recipe without steps leaves the model as it is", "[compress]") {
  const SmallRun run;
  const auto model = run.model();

  const Compressed same = compress(model, {}, run.sampler);

  CHECK(have_equal_bits(same.model, model));
  CHECK_FALSE(same.integers.has_value());
  CHECK(same.steps.empty());
}

TEST_CASE("A recipe takes parts, weights and bits from a model, and reports each step", "[compress]") {
  const SmallRun run{compressible_config()};
  const auto model = run.model();
  StepLog log;

  const Compressed small = compress(model, full_recipe(), run.sampler, 1, log);

  CHECK(log.steps == std::vector<std::string>{"1 keep best parts", "2 fine-tune", "3 prune gradually", "4 quantize"});
  REQUIRE(small.steps.size() == 4);
  CHECK(small.model.config.layer_count == 2);
  CHECK(small.model.config.hidden_of(0) == 16);
  CHECK(small.steps[0].weight_count < parameter_count(model));
  CHECK(small.steps[1].sparsity == 0);
  CHECK(small.steps[2].sparsity == Approx(0.5));
  CHECK(small.steps[3].layer_bits == std::vector<int>{4, 4});
  for (const StepReport& step : small.steps) CHECK(step.kl > 0);
  REQUIRE(small.integers.has_value());
  CHECK(small.integers->config.head_bits == 8);
  CHECK(integers_follow(small));
  for (const auto& p : parameters_of(small.model)) {
    const WeightMask* const mask = find_mask(small.masks, p.name);
    for (std::size_t i = 0; mask != nullptr && i < mask->kept.size(); ++i)
      if (mask->kept[i] == 0) CHECK(p.data[i] == 0);
  }
  InContextAgent agent{*small.integers};
  std::vector<float> observation(static_cast<std::size_t>(run.layout.observation_size())),
      action(static_cast<std::size_t>(run.layout.action_size()));
  Rng rng{2};
  CHECK_NOTHROW(agent.act(observation, action, rng));
}

TEST_CASE("A recipe gives the same weights at any number of threads", "[compress]") {
  const SmallRun run{compressible_config()};
  const auto model = run.model();

  const Compressed one = compress(model, full_recipe(1), run.sampler, 1),
                   three = compress(model, full_recipe(3), run.sampler, 1);

  CHECK(have_equal_bits(one.model, three.model));
  CHECK(fingerprint(*one.integers) == fingerprint(*three.integers));
}

TEST_CASE("A new student of another shape learns from the original, and is trained for its bits", "[compress]") {
  const SmallRun run{compressible_config()};
  const auto model = run.model();
  const FineTune training{.training = small_distil(40), .labels = {.mix = 1}};
  const TransformerConfig narrow{
      .width = 8, .layer_count = 1, .head_count = 2, .context = 8, .positions = PositionScheme::rotary};
  StepLog log;

  for (const int bits : {4, 3, 2}) {
    const Compressed small =
        compress(model, {{NewStudent{narrow}, training, TrainQuantized{.bits = bits, .fine_tuning = training}}},
                 run.sampler, 1, log);

    CHECK(small.model.config == narrow);
    REQUIRE(small.integers.has_value());
    CHECK(small.integers->config.weight_bits == bits);
    CHECK(integers_follow(small));
    CHECK(small.integers->config.head_bits == 8);
    CHECK(small.steps[1].kl < small.steps[0].kl);
    CHECK(small.steps[2].layer_bits == std::vector<int>{bits});
  }
  CHECK(std::vector(log.steps.begin(), log.steps.begin() + 3) ==
        std::vector<std::string>{"1 new student", "2 fine-tune", "3 train quantized"});
}

TEST_CASE("A new student is trained sparse, or pruned by movement, and stays so while it is fine-tuned", "[compress]") {
  const SmallRun run{compressible_config()};
  const auto model = run.model();
  const FineTune training{.training = small_distil(40), .labels = {.mix = 1}};
  const TransformerConfig narrow{.width = 8, .layer_count = 1, .head_count = 2, .context = 8};
  const TrainSparse sparse{.weights = {.sparsity = 0.5, .every = 5, .end = 30}, .fine_tuning = training};
  const PruneGradually pruning{.weights = {.criterion = PruneCriterion::movement},
                               .schedule = {.final_sparsity = 0.5, .begin = 5, .end = 30, .every = 5},
                               .fine_tuning = training};

  for (const CompressionStep& step : {CompressionStep{sparse}, CompressionStep{pruning}}) {
    const Compressed small =
        compress(model, {{NewStudent{narrow}, step, training, Quantize{.windows = 8}}}, run.sampler);

    REQUIRE(small.steps.size() == 4);
    CHECK(small.steps[1].kl < small.steps[0].kl);
    for (const std::size_t number : {1U, 2U, 3U}) CHECK(small.steps[number].sparsity == Approx(0.5).margin(0.01));
    for (const auto& p : parameters_of(small.model)) {
      const WeightMask* const mask = find_mask(small.masks, p.name);
      for (std::size_t i = 0; mask != nullptr && i < mask->kept.size(); ++i)
        if (mask->kept[i] == 0) CHECK(p.data[i] == 0);
    }
  }
}

TEST_CASE("Layers that rounding hurts fall back to 8 bits", "[compress]") {
  const SmallRun run{compressible_config()};
  const auto model = run.model();
  const std::vector<QuantizationRule> rules{{.pattern = "blocks.*", .how = WeightQuantization{.bits = 2, .group = 8}}};
  const auto bits = [&](double max_kl) {
    return compress(model, {{Quantize{.rules = rules, .windows = 8, .max_kl = max_kl}}}, run.sampler)
        .steps.front()
        .layer_bits;
  };
  const double all = compress(model, {{Quantize{.rules = rules, .windows = 8}}}, run.sampler).steps.front().kl;

  CHECK(bits(2 * all) == std::vector<int>{2, 2, 2});
  CHECK(bits(1e-12) == std::vector<int>{8, 8, 8});
  const std::vector<int> some = bits(all / 2);
  CHECK(std::count(some.begin(), some.end(), 8) > 0);
  CHECK(std::count(some.begin(), some.end(), 2) > 0);
}

TEST_CASE("A head that rounding hurts falls back to 8 bits as well, and a limit that is missed is told", "[compress]") {
  const SmallRun run{compressible_config()};
  auto model = run.model();
  model.head.weight *= 20.0F;
  const std::vector<QuantizationRule> rules{{.pattern = "*", .how = WeightQuantization{.bits = 2, .group = 8}}};
  const auto rounded = [&](double max_kl) {
    return compress(model, {{Quantize{.rules = rules, .windows = 8, .max_kl = max_kl}}}, run.sampler);
  };

  const Compressed free = rounded(1e9), strict = rounded(1e-12);

  CHECK(free.integers->config.head_bits == 2);
  CHECK(strict.integers->config.head_bits == 8);
  CHECK(strict.steps.back().layer_bits == std::vector<int>{8, 8, 8});
  CHECK(strict.steps.back().rounding_kl > 1e-12);
  CHECK(strict.steps.back().rounding_kl < free.steps.back().rounding_kl);
}

TEST_CASE("Sparsity is counted in the weights, over all that can be pruned", "[compress]") {
  const SmallRun run{compressible_config()};
  const auto model = run.model();
  const PruneGradually pruning{.weights = {.weights = {"blocks.0.mlp.up.weight"}},
                               .schedule = {.final_sparsity = 0.5, .begin = 0, .end = 4, .every = 2},
                               .fine_tuning = {.training = small_distil(6)}};
  const std::vector<QuantizationRule> rules{
      {.pattern = "*", .how = WeightQuantization{.bits = 3, .rounding = Rounding::nearest, .group = 8}}};

  const Compressed small = compress(model, {{pruning, Quantize{.rules = rules, .windows = 8}}}, run.sampler);

  const auto up = static_cast<double>(model.blocks[0].feed_forward.up.weight.size());
  double all = 0;
  for (const auto& p : detail::tensors_to_prune(model, {})) all += static_cast<double>(p.numbers().size());
  CHECK(small.steps[0].sparsity == Approx(0.5 * up / all).margin(0.001));
  CHECK(small.steps[1].sparsity > 2 * small.steps[0].sparsity);  // small weights are rounded to zero
  REQUIRE(small.masks.size() == 1);
  std::size_t number = 0;
  for (const auto& p : detail::tensors_to_prune(small.model, {"blocks.0.mlp.up.weight"}))
    for (const float weight : p.numbers()) CHECK((small.masks[0].kept[number++] == 0) == (weight == 0));
}

TEST_CASE("Maps that no rule quantizes are rounded to 8 bits in both models", "[compress]") {
  const SmallRun run{compressible_config()};
  auto model = run.model();
  const QuantizationRule up{.pattern = "blocks.*.mlp.up", .how = WeightQuantization{.bits = 8}};
  const QuantizationRule no_head{.pattern = "head"};

  for (const std::vector<QuantizationRule>& rules :
       {std::vector<QuantizationRule>{}, std::vector{up}, std::vector{no_head, up}}) {
    Compressed small = compress(model, {{Quantize{.rules = rules, .windows = 8}}}, run.sampler);
    REQUIRE(small.integers.has_value());
    CHECK(small.steps.back().layer_bits == std::vector<int>{8, 8, 8});
    std::vector<Matrix<float>> exact;
    for_each_linear_map(model, [&](std::string_view, Linear<float>& map) { exact.push_back(map.weight); });
    std::size_t number = 0;
    for_each_linear_map(small.model, [&](std::string_view name, Linear<float>& map) {
      CAPTURE(name);
      CHECK(map.weight != exact[number]);
      CHECK(map.weight.isApprox(exact[number], 0.01F));
      ++number;
    });
    CHECK(number == exact.size());
  }
}

TEST_CASE("What a later step would refuse is refused before the first one begins", "[compress]") {
  const SmallRun run{compressible_config()};
  const auto model = run.model();
  const FineTune training{.training = small_distil(4)};
  const auto check = [&](std::vector<CompressionStep> steps, const char* text) {
    StepLog log;
    steps.insert(steps.begin(), training);
    CHECK_THROWS_WITH(compress(model, {std::move(steps)}, run.sampler, 1, log), ContainsSubstring(text));
    CHECK(log.steps.empty());
  };
  const WeightQuantization four_bits{.bits = 4, .group = 8};

  check({KeepBestParts{.counts = {.layers = 4}}}, "layers is 4, it must lie in 0 .. 3");
  check({PruneGradually{.weights = {.weights = {"nothing"}}, .schedule = {.end = 2}, .fine_tuning = training}},
        "the model has no tensor \"nothing\"");
  check({PruneGradually{.schedule = {.end = 100}, .fine_tuning = training}}, "the schedule ends before update 100");
  check({TrainSparse{.weights = {.end = 2, .weights = {"nothing"}}, .fine_tuning = training}},
        "the model has no tensor \"nothing\"");
  check({TrainSparse{.weights = {.end = 5}, .fine_tuning = training}}, "weights are exchanged until update 5");
  check({Quantize{.rules = {{.pattern = "nothing", .how = four_bits}}}}, "no linear layer matches \"nothing\"");
  check({KeepBestParts{.counts = {.layers = 2}}, Quantize{.rules = {{.pattern = "blocks.2.*", .how = four_bits}}}},
        "no linear layer matches \"blocks.2.*\"");
  check({Quantize{.rules = {{.pattern = "blocks.*.mlp.up", .how = four_bits}}}},
        "all maps of a block must have the same");
  check({Quantize{.rules = {{.pattern = "*", .how = WeightQuantization{.bits = 5}}}}}, "bits is 5");
  check({TrainQuantized{.fine_tuning = {.training = {.updates = 4, .warmup = 2, .products = Products::bfloat16}}}},
        "this model cannot multiply in bfloat16");
  check({FineTune{.training = {.dropout = {.residual = 0.1}, .products = Products::bfloat16}}},
        "products are bfloat16, and a pass with dropout has full ones only");
  check({FineTune{.training = {.updates = 4, .learning_rate = 1e-300, .warmup = 2}}}, "learning_rate is 1e-300");
  check({PruneGradually{
            .schedule = {.end = 2},
            .fine_tuning = {.training = {.updates = 4, .learning_rate = 1e-300, .warmup = 2, .evaluate_every = 0}}}},
        "learning_rate is 1e-300");
  const auto by_wanda = [&](std::vector<std::string> weights) {
    return PruneGradually{.weights = {.criterion = PruneCriterion::wanda, .weights = std::move(weights)},
                          .schedule = {.end = 2},
                          .fine_tuning = training};
  };
  check({by_wanda({"blocks.0.mlp.up.bias"})}, "Wanda cannot prune the tensor \"blocks.0.mlp.up.bias\"");
  check({by_wanda({"head.weight", "head.weight"})}, "two masks are for head.weight");
  check({TrainSparse{.weights = {.end = 2, .weights = {"head.weight", "head.weight"}}, .fine_tuning = training}},
        "two masks are for head.weight");
  const WindowSampler shorter{views(run.histories), run.layout, {.context = 6}};
  CHECK_THROWS_WITH(compress(model, {{Quantize{}}}, shorter),
                    ContainsSubstring("the windows have 6 steps, but the model's context is 8"));
  CHECK_THROWS_WITH(compress(model, {{NewStudent{{.context = 9}}}}, run.sampler),
                    ContainsSubstring("the new student's context is 9, it must be the original's, 8"));
  CHECK_THROWS_WITH(
      compress(model, {{NewStudent{{.context = 8, .window_start = WindowStart::anywhere}}}}, run.sampler),
      ContainsSubstring("the new student's window_start is anywhere, it must be the original's, at episode starts"));
}

TEST_CASE("A step's checkpoint is no other step's, and none of other weights", "[compress]") {
  const SmallRun run{compressible_config()};
  const auto model = run.model();
  const TemporaryFolder folder;
  FineTune tuning{.training = small_distil(4)};
  tuning.training.checkpoint = folder / "run";
  tuning.training.checkpoint_every = 1;
  const Recipe recipe{{NewStudent{compressible_config()}, tuning}};

  const Compressed first = compress(model, recipe, run.sampler, 1);
  CHECK(have_equal_bits(compress(model, recipe, run.sampler, 1).model, first.model));  // goes on from its end
  CHECK_THROWS_WITH(compress(model, recipe, run.sampler, 2), ContainsSubstring("is of another run"));
  CHECK_THROWS_WITH(compress(model, {{NewStudent{compressible_config()}, tuning, tuning}}, run.sampler, 1),
                    ContainsSubstring("is of another run"));
}

TEST_CASE("A model that recipes do not know is refused by its kind", "[compress]") {
  const SmallRun run;
  const RecurrentModel<float> model{{.width = 8}, run.layout};

  CHECK_THROWS_WITH(compress(model, Recipe{}, run.sampler), ContainsSubstring("a gated_recurrence of 32 bits cannot"));
  CHECK_THROWS_WITH(compress(run.model<double>(), Recipe{}, run.sampler),
                    ContainsSubstring("a causal_transformer of 64 bits cannot"));
  const PostNormTransformer<float> post_norm{{.width = 8, .head_count = 2, .context = 8}, run.layout};
  CHECK_THROWS_WITH(compress(post_norm, Recipe{}, run.sampler),
                    ContainsSubstring("a post_norm_transformer of 32 bits cannot"));
}

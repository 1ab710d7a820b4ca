// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/objective.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <variant>
#include <vector>

#include <icrl/train/distil.hpp>

#include "support/catch.hpp"
#include "support/gradient.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using DoubleModel = CausalTransformer<double>;

ContextBatch windows_of(const SmallRun& run, int count) {
  ContextBatch batch;
  run.sampler.sample(count, Rng{2}, batch);
  return batch;
}

/// Fills all scratch memory with numbers that spoil whatever they touch.
void poison(WindowScratch<DoubleModel>& scratch) {
  const auto spoil = [](auto&... matrices) {
    (std::fill_n(matrices.data(), matrices.rows() * matrices.cols(), std::numeric_limits<double>::quiet_NaN()), ...);
  };
  auto& cache = scratch.cache;
  auto& ends = cache.ends;
  spoil(scratch.outputs, scratch.doutputs, ends.stream, ends.dstream, ends.normed, ends.dnormed, ends.final_norm.x_hat,
        ends.final_norm.inverse_stddev);
  for (auto& block : cache.blocks) {
    spoil(block.attention.qkv, block.attention.probabilities, block.attention.mixed);
    spoil(block.attention_norm.x_hat, block.feed_forward_norm.x_hat, block.feed_forward.hidden,
          block.feed_forward.gelu_grad);
  }
  auto& shared = cache.scratch.at(0);
  spoil(shared.attention.transposed, shared.attention.dscores, shared.attention.dmixed, shared.attention.dqkv);
  spoil(shared.feed_forward.hidden, shared.normed, shared.dnormed);
}

DoubleModel zeros_of(const DoubleModel& model) {
  DoubleModel zeros = model;
  set_zero(zeros);
  return zeros;
}

}  // namespace

TEST_CASE("The loss of a window is what its labeled rows cost, by hand", "[train]") {
  const StepLayout layout{.observation_space = Discrete{2}, .action_space = Discrete{3}, .closing_token = true};
  DoubleModel model{small_config(4), layout};
  model.head.bias << 0, std::log(2.0), 0;  // the actions' probabilities are 1/4, 1/2, 1/4
  ContextBatch batch;
  batch.resize(1, 4, layout);
  std::ranges::fill(batch.features, 0.0f);
  batch.actions = {0, 1, 2, 1};
  batch.weights = {1, 1, 0, 1};
  batch.lengths = {3};
  WindowScratch<DoubleModel> scratch;
  DoubleModel grad = zeros_of(model);

  CHECK(window_loss(model, ActionCrossEntropy{0}, batch, 0, scratch, grad) == Approx(std::log(4.0) + std::log(2.0)));

  CHECK(grad.head.bias(0) == Approx(0.25 - 1 + 0.25));  // the sum of p - target over both rows
  CHECK(grad.head.bias(1) == Approx(0.5 + 0.5 - 1));
  CHECK(grad.head.bias(2) == Approx(0.25 + 0.25));
  const double uniform = (2 * std::log(4.0) + std::log(2.0)) / 3;
  CHECK(window_loss(model, ActionCrossEntropy{0.3}, batch, 0, scratch, grad) ==
        Approx(0.7 * std::log(8.0) + 0.3 * 2 * uniform));
}

TEST_CASE("The gradient of a window matches finite differences", "[train][gradient]") {
  for (const StepLayout& layout : {id_layout(true), box_layout(false)}) {
    TransformerConfig shape = small_config(5);
    shape.width = 8;
    shape.positions = layout.closing_token ? PositionScheme::learned : PositionScheme::rotary;
    const SmallRun run{shape, layout};
    DoubleModel model = run.model<double>();
    const ContextBatch batch = windows_of(run, 2);
    const double smoothing = has_ids(layout.action_space) ? 0.1 : 0.0;
    WindowScratch<DoubleModel> scratch;
    DoubleModel grad = zeros_of(model), unused = grad;
    (void)window_loss(model, ActionCrossEntropy{smoothing}, batch, 1, scratch, grad);

    const auto [error, name] = worst_parameter_error(
        model, grad, [&] { return window_loss(model, ActionCrossEntropy{smoothing}, batch, 1, scratch, unused); });

    INFO("worst tensor: " << name);
    CHECK(error < 1e-8);
  }
}

TEST_CASE("The gradient is added to what is there, and scratch memory keeps nothing", "[train]") {
  const SmallRun run;
  const auto model = run.model<double>();
  const ContextBatch batch = windows_of(run, 3);
  WindowScratch<DoubleModel> scratch;
  DoubleModel each[] = {zeros_of(model), zeros_of(model), zeros_of(model)}, all = zeros_of(model);
  for (int window = 0; window < 3; ++window) {
    WindowScratch<DoubleModel> fresh;
    const double loss = window_loss(model, ActionCrossEntropy{0}, batch, window, fresh, each[window]);
    CHECK(window_loss(model, ActionCrossEntropy{0}, batch, window, scratch, all) == loss);
  }

  for_each_parameter([](std::string_view, const auto& sum, const auto& a, const auto& b,
                        const auto& c) { CHECK((sum - (a + b + c)).norm() < 1e-12); },
                     all, each[0], each[1], each[2]);
}

TEST_CASE("What scratch memory held before does not matter, whatever the length of the window", "[train]") {
  for (const TokenScheme tokens : {TokenScheme::fused, TokenScheme::separate}) {
    TransformerConfig shape = small_config(40);
    shape.tokens = tokens;
    const SmallRun run{shape};
    const auto model = run.model<double>();
    ContextBatch batch = windows_of(run, 1);
    WindowScratch<DoubleModel> used;
    DoubleModel unused = zeros_of(model);
    (void)window_loss(model, ActionCrossEntropy{0}, batch, 0, used, unused);
    for (int length = batch.lengths[0]; length > 0; --length) {
      batch.lengths[0] = length;
      WindowScratch<DoubleModel> fresh;
      DoubleModel expected = zeros_of(model), found = expected;
      poison(used);

      const double loss = window_loss(model, ActionCrossEntropy{0}, batch, 0, used, found);

      INFO("length " << length);
      CHECK(loss == window_loss(model, ActionCrossEntropy{0}, batch, 0, fresh, expected));
      CHECK(have_equal_bits(found, expected));
    }
  }
}

TEST_CASE("Rows beyond a window's end and rows without a label do not count", "[train]") {
  const SmallRun run;
  const auto model = run.model<double>();
  ContextBatch batch = windows_of(run, 1);
  WindowScratch<DoubleModel> scratch;
  DoubleModel grad = zeros_of(model), same = grad, none = grad;
  batch.lengths[0] = 5;
  const double loss = window_loss(model, ActionCrossEntropy{0}, batch, 0, scratch, grad);

  const auto past_end = static_cast<std::ptrdiff_t>(5 * batch.feature_count);
  std::fill(batch.features.begin() + past_end, batch.features.end(), std::numeric_limits<float>::quiet_NaN());
  std::fill(batch.actions.begin() + 5, batch.actions.end(), 99.0f);
  std::fill(batch.weights.begin() + 5, batch.weights.end(), 1.0f);
  CHECK(window_loss(model, ActionCrossEntropy{0}, batch, 0, scratch, same) == loss);
  CHECK(have_equal_bits(grad, same));

  std::ranges::fill(batch.weights, 0.0f);
  CHECK(window_loss(model, ActionCrossEntropy{0}, batch, 0, scratch, none) == 0);
  for (const double number : weights_of(none)) REQUIRE(number == 0);
}

TEST_CASE("A window of pictures costs what it costs in floats", "[train]") {
  StepLayout pictures{.observation_space = image_box(2, 3, 1), .action_space = Discrete{3}}, floats = pictures;
  std::get<Box>(floats.observation_space).element = ElementType::f32;
  const SmallRun narrow{small_config(8), pictures}, wide{small_config(8), floats};
  const auto model = narrow.model<double>(), same_model = wide.model<double>();
  const ContextBatch batch = windows_of(narrow, 2);
  ContextBatch same_batch;
  same_batch.resize(2, 8, floats);
  std::vector<float> rows;
  for (int b = 0; b < 2; ++b) std::ranges::copy(batch.rows_of(b, rows), same_batch.features_of(b).begin());
  same_batch.actions = batch.actions;
  same_batch.weights = batch.weights;
  same_batch.lengths = batch.lengths;
  WindowScratch<DoubleModel> scratch, same_scratch;
  DoubleModel grad = zeros_of(model), same_grad = zeros_of(same_model);

  for (int b = 0; b < 2; ++b) {
    CHECK(window_loss(model, ActionCrossEntropy{0}, batch, b, scratch, grad) ==
          window_loss(same_model, ActionCrossEntropy{0}, same_batch, b, same_scratch, same_grad));
  }

  CHECK(have_equal_bits(grad, same_grad));
  CHECK(scratch.rows.size() == 8 * (6 + 3));
  CHECK(same_scratch.rows.empty());
}

TEST_CASE("A weight multiplies a row's loss and its gradient", "[train]") {
  const SmallRun run;
  const auto model = run.model<double>();
  ContextBatch batch = windows_of(run, 1);
  WindowScratch<DoubleModel> scratch;
  DoubleModel once = zeros_of(model), thrice = once;
  const double loss = window_loss(model, ActionCrossEntropy{0.2}, batch, 0, scratch, once);
  for (float& weight : batch.weights) weight *= 3;

  CHECK(window_loss(model, ActionCrossEntropy{0.2}, batch, 0, scratch, thrice) == Approx(3 * loss));
  for_each_parameter([](std::string_view, const auto& a, const auto& b) { CHECK((3 * a - b).norm() < 1e-11); }, once,
                     thrice);
}

namespace {

/// Cross-entropy with a teacher's probabilities instead of labels: as knowledge distillation has it (Hinton et al.,
/// 2015, section 2). Of one softmax per row.
struct SoftLabels {
  const DoubleModel* teacher;
  struct Scratch {
    DoubleModel::Cache cache;
    Matrix<double> outputs;
    std::vector<float> rows;
  };

  double loss(const DoubleModel&, const ContextBatch& batch, int window, MatrixIn<double> outputs,
              MatrixOut<double> doutputs, Scratch& scratch) const {
    scratch.outputs.resize(outputs.rows(), outputs.cols());
    const auto steps = static_cast<int>(outputs.rows());
    teacher->forward(batch.rows_of(window, scratch.rows), steps, scratch.cache, scratch.outputs);
    double loss = 0;
    for (int t = 0; t < steps; ++t) {
      const double weight = static_cast<double>(batch.weights_of(window)[static_cast<std::size_t>(t)]);
      const RowVector<double> target = probabilities(scratch.outputs.row(t)), found = probabilities(outputs.row(t));
      loss -= weight * target.dot(RowVector<double>(found.array().log()));
      doutputs.row(t) = weight * (found - target);
    }
    return loss;
  }
  [[nodiscard]] static std::string describe() { return "soft labels"; }

  static RowVector<double> probabilities(const RowVector<double>& logits) {
    const RowVector<double> weights =
        (logits.array() - *std::ranges::max_element(std::span{logits.data(), static_cast<std::size_t>(logits.size())}))
            .exp();
    return weights / weights.sum();
  }
};
static_assert(Objective<SoftLabels, DoubleModel> && Objective<ActionCrossEntropy, DoubleModel>);

}  // namespace

TEST_CASE("Label smoothing of the objective and of the configuration have to agree", "[train]") {
  const SmallRun run;
  auto model = run.model<double>();
  DistilConfig config = small_distil(4);
  config.label_smoothing = 0.1;
  struct Nobody {};
  CHECK_THROWS_WITH(distil(model, run.sampler, config, Nobody{}, ActionCrossEntropy{}),
                    ContainsSubstring("label_smoothing is 0.1, but the objective has 0"));
}

TEST_CASE("An objective of one's own is trained on, and its checkpoints are its own", "[train]") {
  const SmallRun run;
  const auto teacher = run.model<double>();
  auto student = teacher;
  Rng rng{5};
  student.initialize(rng);
  const SoftLabels objective{&teacher};
  ContextBatch batch = windows_of(run, 1);
  WindowScratch<DoubleModel, SoftLabels> scratch;
  DoubleModel grad = zeros_of(student), unused = grad;
  (void)window_loss(student, objective, batch, 0, scratch, grad);
  const auto [error, name] =
      worst_parameter_error(student, grad, [&] { return window_loss(student, objective, batch, 0, scratch, unused); });
  INFO("worst tensor: " << name);
  CHECK(error < 1e-6);

  const double before = window_loss(student, objective, batch, 0, scratch, unused);
  const TemporaryFolder folder;
  DistilConfig config = small_distil(60);
  config.learning_rate = 0.02;
  config.checkpoint = folder / "checkpoint";
  config.checkpoint_every = 60;
  struct Nobody {};
  (void)distil(student, run.sampler, config, Nobody{}, objective);
  const double least = window_loss(teacher, objective, batch, 0, scratch, unused);
  CHECK(window_loss(student, objective, batch, 0, scratch, unused) - least < 0.3 * (before - least));

  CHECK_THROWS_WITH(distil(student, run.sampler, config), ContainsSubstring("soft labels"));
}

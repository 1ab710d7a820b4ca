// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/soft_labels.hpp>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include <icrl/model/recurrent_model.hpp>
#include <icrl/model/value_head.hpp>
#include <icrl/train/distil.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/gradient.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

using DoubleModel = CausalTransformer<double>;
static_assert(Objective<SoftLabels<DoubleModel>, DoubleModel> &&
              Objective<SoftLabels<CausalTransformer<float>>, DoubleModel>);
static_assert(Objective<SoftLabels<CausalTransformer<float>>, RecurrentModel<float>>);

StepLayout multi_layout() {
  return {.observation_space = Discrete{4}, .action_space = MultiDiscrete{{3, 2}}, .closing_token = true};
}

ContextBatch soft_label_windows(const SmallRun& run, int count) {
  ContextBatch batch;
  run.sampler.sample(count, Rng{2}, batch);
  return batch;
}

/// A teacher of another shape than the run's models.
template <typename S = double>
CausalTransformer<S> other_teacher(const SmallRun& run, int context) {
  return small_model<S>({.width = 8, .layer_count = 1, .head_count = 2, .context = context}, run.layout, 9);
}

template <typename M>
M cleared_gradient(const M& model) {
  M zeros = model;
  set_zero(zeros);
  return zeros;
}

/// The objective's loss of one window; `grad` takes the gradient.
template <typename M, typename O>
double soft_label_loss(const M& model, const O& objective, const ContextBatch& batch, M& grad, int window = 0) {
  WindowScratch<M, O> scratch;
  return window_loss(model, objective, batch, window, scratch, grad);
}

struct NoObserver {};

}  // namespace

TEST_CASE("The gradient of soft labels matches finite differences", "[compress][gradient]") {
  struct Case {
    StepLayout layout;
    double beta;
  };
  for (const auto& [layout, beta] : {Case{id_layout(true), 0.4}, Case{multi_layout(), 1.0}, Case{box_layout(), 0.0}}) {
    const SmallRun run{{.width = 4, .layer_count = 1, .head_count = 2, .context = 4}, layout};
    const DoubleModel teacher = other_teacher(run, 7);
    DoubleModel student = run.model<double>();
    const SoftLabels objective{teacher, {.temperature = 1.5, .mix = 0.6, .beta = beta}};
    const ContextBatch batch = soft_label_windows(run, 1);
    DoubleModel grad = cleared_gradient(student), unused = grad;
    (void)soft_label_loss(student, objective, batch, grad);

    const auto [error, name] =
        worst_parameter_error(student, grad, [&] { return soft_label_loss(student, objective, batch, unused); });

    INFO("beta " << beta << ", worst tensor: " << name);
    CHECK(error < 1e-7);
  }
}

TEST_CASE("Values beside the actions are not trained by soft labels, and those of a teacher do not matter",
          "[compress]") {
  using WithValue = CausalTransformer<float, ValueParts<float>>;
  const SmallRun run;
  WithValue teacher{run.shape, run.layout}, student{run.shape, run.layout};
  Rng rng{3};
  teacher.initialize(rng);
  student.initialize(rng);
  const ContextBatch batch = soft_label_windows(run, 1);
  const Index steps = batch.lengths[0], width = student.actions.parameter_count();
  Matrix<float> outputs = Matrix<float>::Random(steps, width + 1), doutputs(steps, width + 1);
  for (const double mix : {0.0, 0.5, 1.0}) {
    const SoftLabels<WithValue> objective{teacher, {.mix = mix}};
    SoftLabels<WithValue>::Scratch scratch;
    doutputs.setConstant(std::numeric_limits<float>::quiet_NaN());

    (void)objective.loss(student, batch, 0, outputs, doutputs, scratch);

    CHECK(doutputs.allFinite());
    CHECK(doutputs.col(width).isZero(0));
    CHECK_FALSE(doutputs.leftCols(width).isZero(0));
  }
}

TEST_CASE("The loss of a window is the mix of divergences and cross-entropies of its labeled rows", "[compress]") {
  const SmallRun run;
  const DoubleModel teacher = other_teacher(run, 8), student = run.model<double>();
  const SoftLabelConfig config{.temperature = 2, .mix = 0.7, .beta = 0.5};
  ContextBatch batch = soft_label_windows(run, 1);
  batch.weights[1] = 0.5f;
  DoubleModel unused = cleared_gradient(student);

  const double found = soft_label_loss(student, SoftLabels{teacher, config}, batch, unused);

  const int steps = batch.lengths[0];
  Matrix<double> wanted(steps, 3), outputs(steps, 3);
  DoubleModel::Cache cache, teacher_cache;
  student.forward(batch.features_of(0), steps, cache, outputs);
  teacher.forward(batch.features_of(0), steps, teacher_cache, wanted);
  ActionDivergence::Scratch scratch;
  double expected = 0;
  for (int t = 0; t < steps; ++t) {
    const std::span<const double> p{&wanted(t, 0), 3}, q{&outputs(t, 0), 3};
    const ActionDivergence measure{2, 0.5};
    const double soft = measure.add_gradient<double, double>(student.actions, p, q, 1, {}, scratch);
    const auto label = batch.actions_of(0).subspan(static_cast<std::size_t>(t), 1);
    const double weight = static_cast<double>(batch.weights_of(0)[static_cast<std::size_t>(t)]);
    if (weight > 0) expected += weight * (0.7 * soft + 0.3 * student.actions.loss<double>(q, label, 0));
  }
  CHECK(found == Approx(expected));
}

TEST_CASE("Without soft labels the loss is the cross-entropy, bit for bit", "[compress]") {
  const SmallRun run;
  const auto teacher = other_teacher<float>(run, 8);
  const auto student = run.model<float>();
  const ContextBatch batch = soft_label_windows(run, 3);
  for (int window = 0; window < 3; ++window) {
    auto grad = cleared_gradient(student), expected = grad;

    CHECK(soft_label_loss(student, SoftLabels{teacher, {.mix = 0}}, batch, grad, window) ==
          soft_label_loss(student, ActionCrossEntropy{}, batch, expected, window));
    CHECK(have_equal_bits(grad, expected));
  }
}

TEST_CASE("A student that is its teacher has nothing to learn", "[compress]") {
  const SmallRun run;
  const auto model = run.model<float>();
  const ContextBatch batch = soft_label_windows(run, 1);
  for (const double beta : {0.0, 0.5, 1.0}) {
    auto grad = cleared_gradient(model);

    CHECK(soft_label_loss(model, SoftLabels{model, {.temperature = 2, .beta = beta, .products = Products::full}}, batch,
                          grad) == 0);
    for (const float number : weights_of(grad)) REQUIRE(number == 0);
  }
}

TEST_CASE("Soft labels: rows beyond a window's end and rows without a label do not count", "[compress]") {
  const SmallRun run;
  const DoubleModel teacher = other_teacher(run, 8), student = run.model<double>();
  for (const double mix : {0.5, 1.0}) {
    const SoftLabels objective{teacher, {.mix = mix}};
    ContextBatch batch = soft_label_windows(run, 1);
    DoubleModel grad = cleared_gradient(student), same = grad, none = grad;
    batch.lengths[0] = 5;
    batch.weights[2] = 0;
    const double loss = soft_label_loss(student, objective, batch, grad);

    const auto past_end = static_cast<std::ptrdiff_t>(5 * batch.feature_count);
    std::fill(batch.features.begin() + past_end, batch.features.end(), std::numeric_limits<float>::quiet_NaN());
    std::fill(batch.actions.begin() + 5, batch.actions.end(), 99.0f);
    batch.actions[2] = 99;
    CHECK(soft_label_loss(student, objective, batch, same) == loss);
    CHECK(have_equal_bits(grad, same));

    std::ranges::fill(batch.weights, 0.0f);
    CHECK(soft_label_loss(student, objective, batch, none) == 0);
    for (const double number : weights_of(none)) REQUIRE(number == 0);
  }
}

TEST_CASE("A student comes to say what its teacher says, whatever its kind", "[compress]") {
  const SmallRun run;
  const auto teacher = other_teacher<float>(run, 12);
  const SoftLabels objective{teacher, {.temperature = 2}};
  const ContextBatch batch = soft_label_windows(run, 1);
  DistilConfig config = small_distil(150);
  config.learning_rate = 0.02;
  const auto falls = [&](auto student) {
    Rng rng{5};
    student.initialize(rng);
    auto unused = cleared_gradient(student);
    const double before = soft_label_loss(student, objective, batch, unused);
    (void)distil(student, run.sampler, config, NoObserver{}, objective);
    return soft_label_loss(student, objective, batch, unused) < 0.2 * before;
  };

  CHECK(falls(CausalTransformer<float>{run.shape, run.layout}));
  CHECK(falls(RecurrentModel<float>{{.width = 8, .layer_count = 1, .state_size = 8, .hidden = 16, .longest_memory = 20},
                                    run.layout}));
}

TEST_CASE("Weights learned from soft labels do not depend on the number of threads", "[compress]") {
  const SmallRun run;
  const auto teacher = other_teacher<float>(run, 8);
  for (const Products products : {Products::full, Products::bfloat16}) {
    const SoftLabels objective{teacher, {.mix = 0.5, .products = products}};
    const auto train = [&](int threads) {
      auto student = run.model<float>();
      DistilConfig config = small_distil(8);
      config.thread_count = threads;
      (void)distil(student, run.sampler, config, NoObserver{}, objective);
      return student;
    };
    CHECK(have_equal_bits(train(1), train(3)));
  }
}

TEST_CASE("The teacher may multiply in bfloat16, which its checkpoints know", "[compress]") {
  const SmallRun run;
  const auto teacher = other_teacher<float>(run, 8), student = run.model<float>();
  const ContextBatch batch = soft_label_windows(run, 1);
  const SoftLabels full{teacher, {.products = Products::full}}, rounded{teacher, {.products = Products::bfloat16}};
  auto unused = cleared_gradient(student);

  const double exact = soft_label_loss(student, full, batch, unused),
               close = soft_label_loss(student, rounded, batch, unused);

  CHECK(close != exact);
  CHECK(close == Approx(exact).epsilon(0.05));
  CHECK(full.describe() != rounded.describe());
}

TEST_CASE("Once its memory has its size, an update with soft labels allocates nothing", "[compress]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  const SmallRun run;
  const auto teacher = other_teacher<float>(run, 8);
  for (const Products products : {Products::full, Products::bfloat16}) {
    auto student = run.model<float>();
    DistilTrainer<CausalTransformer<float>, SoftLabels<CausalTransformer<float>>> trainer{
        student, run.sampler, small_distil(20), SoftLabels{teacher, {.mix = 0.5, .beta = 0.5, .products = products}}};
    (void)trainer.step();
    for (int update = 1; update < 20; ++update) {
      const AllocationCount allocations;
      (void)trainer.step();
      REQUIRE(allocations.count() == 0);
    }
  }
}

TEST_CASE("A checkpoint belongs to one teacher, temperature, mix and beta", "[compress]") {
  const SmallRun run;
  const auto teacher = other_teacher<float>(run, 8);
  auto other = teacher;
  other.head.bias(0) += 1;
  const TemporaryFolder folder;
  DistilConfig config = small_distil(4);
  config.checkpoint = folder / "checkpoint";
  config.checkpoint_every = 2;
  auto student = run.model<float>();
  const SoftLabels objective{teacher, {.temperature = 2, .mix = 0.5}};
  (void)distil(student, run.sampler, config, NoObserver{}, objective);
  CHECK(objective.describe().find(fingerprint(teacher)) != std::string::npos);

  const auto refuses = [&](const CausalTransformer<float>& model, const SoftLabelConfig& labels, const char* text) {
    CHECK_THROWS_WITH(distil(student, run.sampler, config, NoObserver{}, SoftLabels{model, labels}),
                      ContainsSubstring(text));
  };
  refuses(other, {.temperature = 2, .mix = 0.5}, "this one is (weights");
  refuses(teacher, {.temperature = 3, .mix = 0.5}, "this one is (temperature 3)");
  refuses(teacher, {.temperature = 2, .mix = 0.6}, "this one is (mix 0.6)");
  refuses(teacher, {.temperature = 2, .mix = 0.5, .beta = 1}, "this one is (beta 1)");
  CHECK_THROWS_WITH(distil(student, run.sampler, config), ContainsSubstring("soft labels"));
  CHECK_NOTHROW(distil(student, run.sampler, config, NoObserver{}, objective));
}

TEST_CASE("Soft labels that make no sense, or a teacher that does not fit, are refused", "[compress]") {
  const SmallRun run;
  const auto teacher = other_teacher<float>(run, 8);
  CHECK_THROWS_WITH((SoftLabels{teacher, {.temperature = 0}}), ContainsSubstring("temperature is 0"));
  CHECK_THROWS_WITH((SoftLabels{teacher, {.mix = 1.5}}), ContainsSubstring("mix is 1.5, it must lie in 0 .. 1"));
  CHECK_THROWS_WITH((SoftLabels{teacher, {.beta = 2}}), ContainsSubstring("beta is 2"));
  const SmallRun numbers{small_config(8), box_layout()};
  const auto on_plane = numbers.model<float>();
  CHECK_THROWS_WITH((SoftLabels{on_plane, {.beta = 0.5}}), ContainsSubstring("between Gaussians only 0"));
  static_assert(!std::is_constructible_v<SoftLabels<DoubleModel>, const DoubleModel&&>);

  auto student = run.model<float>();
  const auto before = student;
  const auto refuses = [&](const CausalTransformer<float>& wrong, const char* text) {
    CHECK_THROWS_WITH(distil(student, run.sampler, small_distil(4), NoObserver{}, SoftLabels{wrong}),
                      ContainsSubstring(text));
    CHECK(have_equal_bits(student, before));
  };
  refuses(on_plane, "the teacher's step layout differs from the student's: observation spaces");
  refuses(other_teacher<float>(run, 7), "windows have 8 steps, but the teacher's context is 7");

  DistilConfig masked = small_distil(4);
  masked.token_mask = 0.3;
  CHECK_THROWS_WITH(distil(student, run.sampler, masked, NoObserver{}, SoftLabels{teacher}),
                    ContainsSubstring("token_mask is 0.3, but the objective reads the rows that it would hide"));

  TransformerConfig anywhere = small_config(8);
  anywhere.window_start = WindowStart::anywhere;
  const SmallRun free_run{anywhere};
  auto free_student = free_run.model<float>();
  CHECK_THROWS_WITH(distil(free_student, free_run.sampler, small_distil(4), NoObserver{}, SoftLabels{teacher}),
                    ContainsSubstring("training windows start at episode starts, but the student's start anywhere"));
}

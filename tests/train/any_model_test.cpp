// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/distil.hpp>

#include <cmath>
#include <type_traits>
#include <vector>

#include <icrl/io/model_file.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradient.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_model.hpp"

using namespace icrl;
using namespace icrl::test;

// What is asked of a model is what the concepts say: a model that has nothing of a transformer is trained, saved, told
// apart and resumed by the same calls.
static_assert(Trainable<TraceModel<float>> && Trainable<TraceModel<double>>);
static_assert(LoadableModel<TraceModel<float>>);
static_assert(!HasBf16Pass<TraceModel<float>>);
static_assert(SequenceModel<Int8Model> && SavableModel<Int8Model> && !Trainable<Int8Model>);

namespace {

/// Histories whose actions say which of two observed numbers is larger, and windows of them.
struct TraceRun {
  StepLayout layout{.observation_space = Box{{-1, -1}, {1, 1}}, .action_space = Discrete{2}};
  LearningHistory history{{.observation_space = layout.observation_space, .action_space = layout.action_space}};
  WindowSampler sampler{std::vector{recorded(history)}, layout, {.context = 8}};

  static HistoryView recorded(LearningHistory& history) {
    HistoryRecorder recorder{history};
    Rng rng{5};
    std::vector<float> observation(2), next(2);
    for (int episode = 0; episode < 40; ++episode) {
      sample(history.info().observation_space, rng, observation);
      recorder.begin_episode(observation);
      for (int t = 0; t < 4; ++t) {
        sample(history.info().observation_space, rng, next);
        recorder.step(std::vector{observation[0] > observation[1] ? 1.0f : 0.0f}, 0, next, false, t == 3);
        observation = next;
      }
    }
    return history.view();
  }

  [[nodiscard]] TraceModel<float> model(double decay = 0) const {
    TraceModel<float> model{{.context = 8, .decay = decay}, layout};
    Rng rng{1};
    model.initialize(rng);
    return model;
  }
  static DistilConfig config(int updates) {
    return {.updates = updates, .batch = 16, .learning_rate = 0.1, .warmup = 5, .weight_decay = 0, .thread_count = 1};
  }
};

}  // namespace

TEST_CASE("A model without a transformer's line has the gradient of its loss", "[train]") {
  const StepLayout layout = box_layout();
  TraceModel<double> model{{.context = 5, .decay = 0.7}, layout}, grad = model;
  Rng rng{2};
  randomise(model, rng);
  std::vector<float> rows(static_cast<std::size_t>(5 * layout.feature_count()));
  fill_normal(std::span{rows}, 1, rng);
  TraceModel<double>::Cache cache;
  const Matrix<double> slope = random_matrix(5, model.actions.parameter_count(), rng);
  Matrix<double> outputs(5, model.actions.parameter_count());
  const auto loss = [&] {
    model.forward(rows, 5, cache, outputs);
    return slope.cwiseProduct(outputs).sum();
  };

  (void)loss();
  model.backward(rows, 5, slope, cache, grad);

  CHECK(worst_parameter_error(model, grad, loss).first < 1e-9);
}

TEST_CASE("A model without a transformer's line learns by distil", "[train]") {
  const TraceRun run;
  auto model = run.model();

  const DistilResult result = distil(model, run.sampler, TraceRun::config(300));

  CHECK(result.final_loss < 0.1);  // log 2 = 0.69 knows nothing
}

TEST_CASE("A model without a transformer's line is resumed from a checkpoint to the same bits", "[train]") {
  const TemporaryFolder folder;
  const TraceRun run;
  auto whole = run.model(0.5), resumed = run.model(0.5);
  DistilConfig config = TraceRun::config(20);
  distil(whole, run.sampler, config);
  config.checkpoint = folder / "state";
  config.checkpoint_every = 7;
  {
    struct Stop {};
    struct Stopping {
      void on_update(const DistilMetrics& metrics) const {
        if (metrics.update == 9) throw Stop{};
      }
    };
    auto stopped = run.model(0.5);
    CHECK_THROWS_AS(distil(stopped, run.sampler, config, Stopping{}), Stop);
  }

  const DistilResult result = distil(resumed, run.sampler, config);

  CHECK(result.updates == 20);
  CHECK(have_equal_bits(resumed, whole));
  auto other = run.model(0.25);
  CHECK(has(error_of([&] { distil(other, run.sampler, config); }),
            "belongs to another model (decay 0.5); this one is (decay 0.25)"));
}

TEST_CASE("A trained model without a transformer's line comes back from its file with its fingerprint", "[train]") {
  const TemporaryFolder folder;
  const TraceRun run;
  auto model = run.model();
  const std::string before = fingerprint(model);
  distil(model, run.sampler, TraceRun::config(5));

  save_model(model, folder / "model");
  const auto loaded = load_model<TraceModel<float>>(folder / "model");

  CHECK(fingerprint(model) != before);
  CHECK(fingerprint(loaded) == fingerprint(model));
}

namespace {

/// A model with a tensor that no training changes and no checkpoint holds.
struct ScaledTrace : TraceModel<float> {
  using TraceModel<float>::TraceModel;
  RowVector<float> scale = RowVector<float>::Ones(2);

  static constexpr auto tensors() {
    return std::tuple{Field{"weight", &ScaledTrace::weight}, Field{"bias", &ScaledTrace::bias},
                      Field{"scale", &ScaledTrace::scale}};
  }
};

}  // namespace

TEST_CASE("A run belongs to the tensors that are not trained, too", "[train]") {
  const TraceRun run;
  CHECK(detail::describe_fixed_tensors(run.model()).empty());
  ScaledTrace model{{.context = 8}, run.layout};
  const std::string before = detail::describe_fixed_tensors(model);
  CHECK(has(before, "fixed tensors"));
  model.weight.setOnes();
  CHECK(detail::describe_fixed_tensors(model) == before);
  model.scale(1) = 2;
  CHECK(detail::describe_fixed_tensors(model) != before);
}

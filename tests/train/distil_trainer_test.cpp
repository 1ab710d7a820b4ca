// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/train/distil_trainer.hpp>

#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include <icrl/history/history_file.hpp>

#include "support/advice_log.hpp"
#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"
#include "support/temporary_folder.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// A trainer and the model that it trains.
template <typename S = float>
struct Training {
  using Model = CausalTransformer<S>;

  Training(const SmallRun& small_run, const DistilConfig& config)
      : sampler{&small_run.sampler}, model{small_run.model<S>()}, trainer{model, *sampler, config} {}

  DistilMetrics step(int count = 1) {
    DistilMetrics last;
    for (int i = 0; i < count; ++i) last = trainer.step();
    return last;
  }
  /// What a checkpoint says of it.
  [[nodiscard]] Checkpoint<Model> state() const {
    const TemporaryFolder folder;
    trainer.save(folder / "state");
    return read_checkpoint(folder / "state", describe(trainer.config()) + "; " + sampler->describe(), model);
  }

  const WindowSampler* sampler;
  Model model;
  DistilTrainer<Model> trainer;
};

template <typename M>
bool are_equal(const Checkpoint<M>& a, const Checkpoint<M>& b) {
  const auto equal = [](const std::optional<M>& x, const std::optional<M>& y) {
    return x.has_value() == y.has_value() && (!x || have_equal_bits(*x, *y));
  };
  return have_equal_bits(a.model, b.model) && have_equal_bits(a.mean, b.mean) &&
         have_equal_bits(a.variance, b.variance) && equal(a.average, b.average) && equal(a.best, b.best) &&
         a.progress.update == b.progress.update && a.progress.tokens == b.progress.tokens &&
         a.progress.loss == b.progress.loss && a.progress.best_update == b.progress.best_update &&
         a.progress.best_score == b.progress.best_score;
}

/// The sum of the windows' losses and gradients of one update, over the number of labels.
struct MeanGradient {
  CausalTransformer<double> gradient;
  double loss = 0;
};
MeanGradient mean_gradient(const CausalTransformer<double>& model, const SmallRun& run, const DistilConfig& config,
                           int update) {
  MeanGradient mean{model};
  set_zero(mean.gradient);
  WindowScratch<CausalTransformer<double>> scratch;
  ContextBatch batch;
  double labels = 0;
  for (int slot = 0; slot < config.gradient_slots; ++slot) {
    const int count = config.batch / config.gradient_slots;
    run.sampler.sample(
        count, Rng{config.seed}.fork(static_cast<std::uint64_t>(update)).fork(static_cast<std::uint64_t>(slot)), batch);
    for (int window = 0; window < count; ++window)
      mean.loss +=
          window_loss(model, ActionCrossEntropy{config.label_smoothing}, batch, window, scratch, mean.gradient);
    for (const float weight : batch.weights) labels += static_cast<double>(weight);
  }
  mean.loss /= labels;
  for_each_parameter([&](std::string_view, auto& tensor) { tensor /= labels; }, mean.gradient);
  return mean;
}

double norm_of(const CausalTransformer<double>& model) {
  double squares = 0;
  for (const double number : weights_of(model)) squares += number * number;
  return std::sqrt(squares);
}

/// A file of histories that are many pages long, and their windows.
struct MappedRun {
  TemporaryFolder folder;
  SmallRun in_memory;  // of other histories; its shape and layout are used
  std::vector<LearningHistory> histories = fake_histories(in_memory.layout, 5, 4000, 5);
  HistoryFile file{written(folder / "histories", histories)};
  WindowSampler from_file{file.histories(), in_memory.layout, {.context = in_memory.shape.context}};
  WindowSampler from_memory{views(histories), in_memory.layout, {.context = in_memory.shape.context}};

  static std::filesystem::path written(const std::filesystem::path& path,
                                       const std::vector<LearningHistory>& histories) {
    HistoryWriter writer{path};
    for (const LearningHistory& history : histories) writer.append(history.view());
    return path;
  }
};

bool is_vector(std::string_view name) {
  return name.ends_with("bias") || name.ends_with("gain") || name == "embedding.reward";
}

/// As the system says, not the compiler's run-time library.
bool is_amd() {
  std::ifstream info{"/proc/cpuinfo"};
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("vendor_id")) return has(line, "AuthenticAMD");
  return false;
}

}  // namespace

TEST_CASE("Updates are AdamW's by hand: clipped, decayed where a weight is a matrix, averaged", "[train]") {
  const SmallRun run;
  DistilConfig config{.updates = 4,
                      .batch = 6,
                      .learning_rate = 0.02,
                      .final_rate_fraction = 0.5,
                      .warmup = 2,
                      .beta1 = 0.8,
                      .beta2 = 0.9,
                      .epsilon = 1e-6,
                      .weight_decay = 0.4,
                      .label_smoothing = 0.1,
                      .ema_decay = 0.25,
                      .gradient_slots = 3,
                      .thread_count = 1,
                      .seed = 11};
  config.max_gradient_norm = 0.5 * norm_of(mean_gradient(run.model<double>(), run, config, 0).gradient);
  Training<double> training{run, config};
  auto expected = run.model<double>(), average = expected, mean = expected, variance = expected;
  set_zero(mean);
  set_zero(variance);
  constexpr double rates[] = {0.01, 0.02, 0.015, 0.01};  // up to the highest, then half a wave in two updates

  for (int update = 0; update < 4; ++update) {
    const MeanGradient by_hand = mean_gradient(expected, run, config, update);
    const double norm = norm_of(by_hand.gradient),
                 scale = norm > config.max_gradient_norm ? config.max_gradient_norm / norm : 1.0;
    const int n = update + 1;
    const double share = 1 - std::min(0.25, n / (9.0 + n));
    for_each_parameter(
        [&](std::string_view name, auto& w, const auto& g, auto& m, auto& v, auto& a) {
          for (Index i = 0; i < w.size(); ++i) {
            const double clipped = scale * g.data()[i];
            m.data()[i] = 0.8 * m.data()[i] + 0.2 * clipped;
            v.data()[i] = 0.9 * v.data()[i] + 0.1 * clipped * clipped;
            const double m_hat = m.data()[i] / (1 - std::pow(0.8, n)), v_hat = v.data()[i] / (1 - std::pow(0.9, n));
            const double decay = is_vector(name) ? 0.0 : 0.4;
            w.data()[i] -= rates[update] * (m_hat / (std::sqrt(v_hat) + 1e-6) + decay * w.data()[i]);
            a.data()[i] += share * (w.data()[i] - a.data()[i]);
          }
        },
        expected, by_hand.gradient, mean, variance, average);

    const DistilMetrics metrics = training.step();

    CHECK(metrics.update == n);
    CHECK(metrics.loss == Approx(by_hand.loss).epsilon(1e-11));
    CHECK(metrics.gradient_norm == Approx(norm).epsilon(1e-11));
    CHECK(metrics.rate == Approx(rates[update]).epsilon(1e-12));
    for_each_parameter(
        [&](std::string_view name, const auto& ours, const auto& by_definition, const auto& ours_average,
            const auto& average_by_definition) {
          INFO(name << ", update " << n);
          CHECK((ours - by_definition).norm() < 1e-11);
          CHECK((ours_average - average_by_definition).norm() < 1e-11);
        },
        training.model, expected, training.trainer.averaged(), average);
  }
}

TEST_CASE("The first gradient is clipped to its norm and not stretched to it", "[train]") {
  const SmallRun run;
  DistilConfig config = small_distil(4);
  for (const double clip : {0.0, 1e-3, 1e9}) {
    config.max_gradient_norm = clip;
    Training<double> training{run, config};

    const double norm = training.step().gradient_norm;

    const double used = norm_of(training.state().mean) / (1 - config.beta1);
    CHECK(used == Approx(clip > 0 ? std::min(clip, norm) : norm).epsilon(1e-9));
    CHECK(norm > 0.01);
  }
}

TEST_CASE("Weight decay shrinks matrices and leaves gains and biases alone", "[train]") {
  const SmallRun run;
  DistilConfig config = small_distil(4);
  config.weight_decay = 0;
  Training<double> plain{run, config};
  config.weight_decay = 0.5;
  Training<double> decayed{run, config};
  const auto before = run.model<double>();

  const double rate = plain.step().rate;
  decayed.step();

  for_each_parameter(
      [&](std::string_view name, const auto& without, const auto& with, const auto& start) {
        INFO(name);
        if (is_vector(name)) CHECK(with == without);
        if (!is_vector(name)) CHECK((without - with - rate * 0.5 * start).norm() < 1e-12);
      },
      plain.model, decayed.model, before);
}

TEST_CASE("The same bits come out at any number of threads", "[train]") {
  const SmallRun run;
  DistilConfig config = small_distil(12);
  config.gradient_slots = 5;
  config.products = GENERATE(Products::full, Products::bfloat16);
  Training<> alone{run, config};
  alone.step(12);
  const auto expected = alone.state();
  for (const int threads : {2, 3, 4}) {
    config.thread_count = threads;
    Training<> together{run, config};

    together.step(12);

    INFO(threads << " threads");
    CHECK(are_equal(together.state(), expected));
  }
  config.seed = 8;
  Training<> other{run, config};
  other.step(12);
  CHECK_FALSE(have_equal_bits(other.model, alone.model));
}

TEST_CASE("Training in bfloat16 goes where training in float goes", "[train]") {
  const SmallRun run;
  DistilConfig config = small_distil(60);
  config.ema_decay = 0;
  config.products = Products::full;
  Training<> full{run, config};
  config.products = Products::bfloat16;
  Training<> quick{run, config};

  const double first_full = full.step().loss, first_quick = quick.step().loss;
  const double last_full = full.step(59).loss, last_quick = quick.step(59).loss;

  CHECK(first_quick == Approx(first_full).epsilon(0.01));
  CHECK(first_quick != first_full);
  CHECK(last_full < 0.8 * first_full);
  CHECK(last_quick == Approx(last_full).epsilon(0.05));
}

TEST_CASE("What a model's products are follows from the model and the CPU", "[train]") {
  const auto products_of = [](const auto& run, auto model, Products wanted) {
    DistilConfig config = small_distil(2);
    config.products = wanted;
    return DistilTrainer{model, run.sampler, config}.config().products;
  };
  const Products quickest = has_bfloat16_products && is_amd() ? Products::bfloat16 : Products::full;
  const SmallRun run;
  CHECK(products_of(run, run.model(), Products::automatic) == quickest);
  CHECK(products_of(run, run.model(), Products::full) == Products::full);
  CHECK(products_of(run, run.model<double>(), Products::automatic) == Products::full);
  CHECK(
      has(error_of([&] { products_of(run, run.model<double>(), Products::bfloat16); }), "cannot multiply in bfloat16"));

  TransformerConfig odd = small_config(8);
  odd.width = 10;
  const SmallRun odd_run{odd};
  CHECK(products_of(odd_run, odd_run.model(), Products::automatic) == Products::full);
  CHECK(has(error_of([&] { products_of(odd_run, odd_run.model(), Products::bfloat16); }), "heads of an even size"));
}

TEST_CASE("While an update is computed the windows of the next one are asked for", "[train]") {
  SKIP_UNLESS_AVAILABLE(AdviceLog);
  const MappedRun run;
  const DistilConfig config{.updates = 10, .batch = 8, .warmup = 2, .gradient_slots = 4, .thread_count = 2, .seed = 3};
  auto model = run.in_memory.model();
  DistilTrainer trainer{model, run.from_file, config};
  for (int update = 0; update < 3; ++update) {
    const AdviceLog advice;

    trainer.step();

    const auto asked_share = [&](int of_update) {
      int asked = 0, all = 0;
      for (std::uint64_t slot = 0; slot < 4; ++slot) {
        const Rng rng = Rng{config.seed}.fork(static_cast<std::uint64_t>(of_update)).fork(slot);
        run.from_file.visit_reads(2, rng, [&](int, std::span<const std::byte> bytes) {
          asked += advice.covers(bytes, POSIX_MADV_WILLNEED);
          ++all;
        });
      }
      return static_cast<double>(asked) / all;
    };
    CHECK(asked_share(update + 1) == 1);
    CHECK(asked_share(update + 2) < 1);
  }
}

TEST_CASE("A file and memory train the same weights, in one go or two", "[train]") {
  const MappedRun run;
  DistilConfig config = small_distil(8);
  auto expected = run.in_memory.model(), whole = expected, halved = expected;
  DistilTrainer from_memory{expected, run.from_memory, config};
  DistilTrainer from_file{whole, run.from_file, config};
  for (int update = 0; update < 8; ++update) from_memory.step();
  for (int update = 0; update < 8; ++update) {
    from_file.step();
    if (update == 3) from_file.save(run.folder / "run.ckpt");
  }
  config.thread_count = 2;
  DistilTrainer resumed{halved, run.from_file, config};

  resumed.restore(run.folder / "run.ckpt");
  for (int update = 4; update < 8; ++update) resumed.step();

  CHECK(have_equal_bits(whole, expected));
  CHECK(have_equal_bits(halved, expected));
}

TEST_CASE("More slots than windows train as well", "[train]") {
  const SmallRun run;
  DistilConfig config = small_distil(3);
  config.batch = 2;
  config.gradient_slots = 7;
  Training<> training{run, config};

  const DistilMetrics metrics = training.step(3);

  CHECK(metrics.tokens == 3 * 2 * 8);
  CHECK(std::isfinite(metrics.loss));
}

TEST_CASE("A run that is resumed after any of its updates ends in the same bits", "[train]") {
  const SmallRun run;
  const TemporaryFolder folder;
  DistilConfig config = small_distil(14);
  config.products = GENERATE(Products::full, Products::bfloat16);
  for (const double ema_decay : {0.0, 0.9}) {
    config.ema_decay = ema_decay;
    const auto score = [](int update) { return update == 5 ? 2.0 : 1.0 / update; };
    Training<> whole{run, config};
    for (int update = 1; update <= 14; ++update) {
      whole.step();
      whole.trainer.offer(score(update));
    }
    const auto expected = whole.state();
    Rng rng{static_cast<std::uint64_t>(100 * ema_decay)};
    for (const int stop : {0, 1 + rng.below(6), 7 + rng.below(7), 14}) {
      Training<> before{run, config};
      for (int update = 1; update <= stop; ++update) {
        before.step();
        before.trainer.offer(score(update));
      }
      before.trainer.save(folder / "run.ckpt");
      config.thread_count = 2;
      Training<> after{run, config};
      after.step(stop % 3);  // is forgotten

      after.trainer.restore(folder / "run.ckpt");
      for (int update = stop + 1; update <= 14; ++update) {
        after.step();
        after.trainer.offer(score(update));
      }

      INFO("resumed after update " << stop);
      CHECK(are_equal(after.state(), expected));
      config.thread_count = 1;
    }
  }
}

TEST_CASE("A checkpoint of another model, configuration or other windows is refused and changes nothing", "[train]") {
  const SmallRun run;
  const TemporaryFolder folder;
  const auto path = folder / "run.ckpt";
  DistilConfig config = small_distil(4);
  Training<> training{run, config};
  training.step(2);
  training.trainer.save(path);
  TransformerConfig shape = small_config(8);
  shape.layer_count = 3;
  const SmallRun deep{shape};
  Training<> deeper{deep, config};
  config.learning_rate = 0.5;
  Training<> quicker{run, config};
  quicker.step();
  const auto before = quicker.state();
  const WindowSampler thinned{views(run.histories), run.layout, {.context = 8, .subsample = 2}};
  auto model = run.model();
  DistilTrainer sparse{model, thinned, small_distil(4)};

  const std::string models = error_of([&] { deeper.trainer.restore(path); });
  const std::string configs = error_of([&] { quicker.trainer.restore(path); });
  const std::string windows = error_of([&] { sparse.restore(path); });

  CHECK(has(models, "belongs to another model (layers 2); this one is (layers 3)"));
  CHECK(has(configs, "is of another run (learning rate 0.003); this one is (learning rate 0.5); remove it"));
  CHECK(has(configs, path.string()));
  CHECK(has(windows, "(every 1. episode after a share of 0); this one is (every 2. episode after a share of 0)"));
  for (const std::string& text : {models, configs, windows}) CHECK(text.size() < path.string().size() + 200);
  CHECK(have_equal_bits(model, run.model()));
  CHECK(are_equal(quicker.state(), before));
  const auto bytes = read_bytes(path);
  write_bytes(path, std::span{bytes}.first(bytes.size() / 2));
  const auto trained = training.state();
  CHECK(has(error_of([&] { training.trainer.restore(path); }), "was it cut?"));
  CHECK(are_equal(training.state(), trained));
}

TEST_CASE("A checkpoint beyond a run's last update is refused and changes nothing", "[train]") {
  const SmallRun run;
  const TemporaryFolder folder;
  const auto path = folder / "run.ckpt";
  Training<> training{run, small_distil(4)};
  training.step();
  training.trainer.save(path);
  const std::string description = [&] {
    const CheckedFile file{path, detail::checkpoint_kind};
    ByteReader in = file.reader();
    (void)in.text();
    return in.text();
  }();
  const auto before = training.state();
  const auto model = run.model();
  auto zeros = run.model();
  set_zero(zeros);
  const auto error_at = [&](int update) {
    write_checkpoint<CausalTransformer<float>>(path, description, {.update = update}, model, zeros, zeros, &model,
                                               nullptr);
    return error_of([&] { training.trainer.restore(path); });
  };

  CHECK(has(error_at(5), "run.ckpt\": is of update 5, but this run has only 4 updates"));
  CHECK(are_equal(training.state(), before));
  CHECK(error_at(4).empty());
}

TEST_CASE("A run does no more updates than it was made for", "[train]") {
  const SmallRun run;
  Training<> training{run, small_distil(2)};
  training.step();
  training.step();
  const auto before = training.state();
  CHECK(error_of([&] { training.step(); }) == "distil: all 2 updates of this run are done");
  CHECK(are_equal(training.state(), before));
}

TEST_CASE("A loss or gradient that is not finite is an Error, and all is as it was before", "[train]") {
  const SmallRun run;
  const DistilConfig config = small_distil(6);
  Training<> training{run, config}, undisturbed{run, config};
  training.step(2);
  const auto before = training.state();
  for (float* const weight : {&training.model.head.bias(1), &training.model.blocks[0].attention.qkv.weight(0, 0),
                              &training.model.embedding.reward(3)}) {
    const float sound = *weight;
    for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      *weight = bad;
      CHECK(has(error_of([&] { training.step(); }), "distil: update 3 of 6: loss "));
      *weight = sound;
      CHECK(are_equal(training.state(), before));
    }
  }

  training.step(4);
  undisturbed.step(6);

  CHECK(are_equal(training.state(), undisturbed.state()));
}

TEST_CASE("However huge a reward is, weights stay finite or an Error leaves them as they were", "[train]") {
  bool is_ever_refused = false, is_ever_trained = false;
  for (const float reward : {1e3f, 1e10f, 1e19f, 1e25f, 2e38f}) {
    const StepLayout layout = id_layout();
    LearningHistory history{{.observation_space = layout.observation_space, .action_space = layout.action_space}};
    HistoryRecorder recorder{history};
    for (const FakeStep& step : fake_life(layout, 40, 5, 3)) {
      if (!recorder.is_open()) recorder.begin_episode(step.observation);
      recorder.step(step.action, reward * step.reward, step.next_observation, false, step.is_last);
    }
    const WindowSampler sampler{{history.view()}, layout, {.context = 8}};
    auto model = small_model(small_config(8), layout);
    DistilTrainer trainer{model, sampler, small_distil(4)};
    const auto before = model;

    const std::string error = error_of([&] { trainer.step(); });

    INFO("reward " << reward << ": " << error);
    if (error.empty()) {
      for (const float weight : weights_of(model)) REQUIRE(std::isfinite(weight));
    } else {
      CHECK(has(error, "an observation or reward huge?"));
      CHECK(have_equal_bits(model, before));
      CHECK(trainer.progress().update == 0);
    }
    (error.empty() ? is_ever_trained : is_ever_refused) = true;
  }

  CHECK(is_ever_trained);
  CHECK(is_ever_refused);
}

TEST_CASE("The best scored weights are kept, the earlier ones among equals", "[train]") {
  const SmallRun run;
  for (const double ema_decay : {0.0, 0.8}) {
    DistilConfig config = small_distil(5);
    config.ema_decay = ema_decay;
    Training<> training{run, config};
    DistilTrainer<CausalTransformer<float>>& trainer = training.trainer;
    CHECK(&trainer.best() == &trainer.averaged());
    std::vector<CausalTransformer<float>> offered;
    for (const double score : {-3.0, 5.0, 4.0, 5.0}) {
      training.step();
      offered.push_back(trainer.averaged());
      trainer.offer(score);
    }

    CHECK(have_equal_bits(trainer.best(), offered[1]));
    CHECK_FALSE(have_equal_bits(trainer.best(), offered[3]));
    CHECK(trainer.progress().best_score == 5);
    CHECK(trainer.progress().best_update == 2);
    CHECK(have_equal_bits(trainer.averaged(), training.model) == (ema_decay == 0));
    CHECK(has(error_of([&] { trainer.offer(std::numeric_limits<double>::quiet_NaN()); }),
              "the observer gave NaN as the score of update 4"));
    CHECK(have_equal_bits(trainer.best(), offered[1]));
  }
}

TEST_CASE("Windows that are not the model's are refused with both values", "[train]") {
  const SmallRun run;
  const auto refusal = [&](const TransformerConfig& shape, const StepLayout& layout) {
    auto model = small_model(shape, layout);
    return error_of([&] { DistilTrainer{model, run.sampler, small_distil(4)}; });
  };
  TransformerConfig longer = small_config(9), free = small_config(8);
  free.window_start = WindowStart::anywhere;

  CHECK(refusal(small_config(8), id_layout(true)).empty());
  CHECK(has(refusal(longer, id_layout(true)), "the windows have 8 steps, but the model's context is 9"));
  CHECK(has(refusal(free, id_layout(true)), "start at episode starts, but the model's window_start is anywhere"));
  CHECK(has(refusal(small_config(8), id_layout(false)),
            "layout differs from the model's: closing tokens true and false"));
  CHECK(has(refusal(small_config(8), box_layout(true)),
            "layout differs from the model's: observation spaces multi_discrete(4, 5) and box([-1, -1], [1, 1])"));
  auto model = run.model();
  CHECK(has(error_of([&] { DistilTrainer{model, run.sampler, {.batch = 0}}; }), "batch is 0"));
}

TEST_CASE("What could only fail later is refused at once", "[train]") {
  const SmallRun run;
  CausalTransformer<float> blank{run.shape, run.layout};
  CHECK(has(error_of([&] { DistilTrainer{blank, run.sampler, small_distil(4)}; }), "call initialize() first"));

  const auto histories = fake_histories(run.layout, 2, 4, 9);
  const WindowSampler episodes{views(histories), run.layout, {.context = 8}};
  auto model = run.model();
  CHECK(has(error_of([&] { DistilTrainer{model, episodes, small_distil(4)}; }), "no agent could finish it"));

  DistilConfig config = small_distil(4);
  config.epsilon = 1e-60;
  CHECK(has(error_of([&] { DistilTrainer{model, run.sampler, config}; }), "epsilon is 1e-60"));
  config = small_distil(4);
  config.learning_rate = 1e39;
  CHECK(has(error_of([&] { DistilTrainer{model, run.sampler, config}; }), "learning_rate is 1e+39"));
  config = small_distil(4);
  config.beta2 = 1 - 1e-12;
  CHECK(has(error_of([&] { DistilTrainer{model, run.sampler, config}; }), "rounds to 1 in this model's precision"));
}

TEST_CASE("Once its memory has its size, an update allocates nothing", "[train]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  for (const int width : {64, 256}) {
    TransformerConfig shape = small_config(8);
    shape.width = width;
    const SmallRun run{shape};
    DistilConfig config = small_distil(1000);
    config.batch = 4;
    config.products = GENERATE(Products::full, Products::bfloat16);
    for (const int threads : {1, 2}) {
      config.thread_count = threads;
      Training<> training{run, config};
      int allocating_updates = 0;
      for (int update = 0; update < 8; ++update) {
        const AllocationCount allocations;
        training.step();
        allocating_updates += allocations.count() > 0 ? 1 : 0;
        if (threads == 1 && update > 0) CHECK(allocations.count() == 0);
      }

      INFO("width " << width << ", threads " << threads);
      CHECK(allocating_updates > 0);
      CHECK(allocating_updates <= threads);  // a thread's scratch memory gets its size when it first has work
    }
  }
}

namespace {

/// A transformer of which only the head and the final norm are trained.
struct TrainedHead : CausalTransformer<float> {
  using Base = CausalTransformer<float>;
  explicit TrainedHead(const Base& model) : Base{model} {}

  static constexpr auto parameters() {
    return std::tuple{Frozen{"embedding", &Base::embedding}, Frozen{"blocks", &Base::blocks},
                      Field{"final_norm", &Base::final_norm}, Field{"head", &Base::head}};
  }
};

}  // namespace

TEST_CASE("Frozen weights stay as they are, and a checkpoint of them goes on with the same bits", "[train]") {
  const TemporaryFolder folder;
  const SmallRun run;
  const DistilConfig config = small_distil(6);
  const TrainedHead first{run.model()};
  TrainedHead model = first, resumed = first;
  DistilTrainer trainer{model, run.sampler, config}, again{resumed, run.sampler, config};

  for (int i = 0; i < 3; ++i) (void)trainer.step();
  trainer.save(folder / "checkpoint");
  again.restore(folder / "checkpoint");
  for (int i = 0; i < 3; ++i) {
    (void)trainer.step();
    (void)again.step();
  }

  const auto before = parameters_of(first), after = parameters_of(std::as_const(model)),
             averaged = parameters_of(trainer.averaged());
  for (std::size_t i = 0; i < after.size(); ++i) {
    INFO(after[i].name);
    CHECK((before[i].map() == after[i].map()) == !after[i].is_trained);
    CHECK((before[i].map() == averaged[i].map()) == !after[i].is_trained);
  }
  CHECK(have_equal_bits(model, resumed));
  const Checkpoint<TrainedHead> state =
      read_checkpoint(folder / "checkpoint", describe(trainer.config()) + "; " + run.sampler.describe(), first);
  const Index trained = parameter_count(first.final_norm) + parameter_count(first.head);
  CHECK(parameter_count(state.mean) == trained);
  CHECK(parameter_count(state.model) > trained);
}

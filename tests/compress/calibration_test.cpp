// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/calibration.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include <icrl/model/value_head.hpp>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/small_run.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// A linear map that keeps what it reads, to compare with what calibration found.
struct RecordingLinear {
  using Scalar = float;
  struct Cache {
    Matrix<float> x;
  };
  using Scratch = NoMemory;
  Linear<float> map;

  RecordingLinear(Index in, Index out) : map{in, out} {}
  [[nodiscard]] Index input_size() const { return map.input_size(); }
  [[nodiscard]] Index output_size() const { return map.output_size(); }
  [[nodiscard]] static std::int64_t weight_count(std::int64_t in, std::int64_t out) {
    return Linear<float>::weight_count(in, out);
  }
  static void reserve(Scratch&, Index) {}
  void forward(MatrixIn<float> x, Scratch&, MatrixOut<float> y) const { map.forward(x, y); }
  void add_forward(MatrixIn<float> x, Scratch&, MatrixOut<float> y) const { map.add_forward(x, y); }
  void forward(MatrixIn<float> x, Cache& cache, Scratch&, MatrixOut<float> y) const {
    cache.x = x;
    map.forward(x, y);
  }
  void add_forward(MatrixIn<float> x, Cache& cache, Scratch&, MatrixOut<float> y) const {
    cache.x = x;
    map.add_forward(x, y);
  }
  void backward(MatrixIn<float> x, MatrixIn<float> dy, const Cache&, Scratch&, RecordingLinear& grad,
                MatrixOut<float> dx) const {
    map.backward(x, dy, grad.map, dx);
  }
  void initialize(const WeightScale& scale, Rng& rng) { map.initialize(scale, rng); }
  static constexpr auto parameters() { return std::tuple{Field{"map", &RecordingLinear::map}}; }
};
struct RecordingParts : DenseParts<float> {
  using Linear = RecordingLinear;
  using FeedForward = icrl::FeedForward<float, RecordingLinear>;
  using Head = RecordingLinear;
};
using RecordingTransformer = CausalTransformer<float, RecordingParts>;

}  // namespace

TEST_CASE("Statistics of inputs are sums over their rows", "[compress]") {
  Rng rng{2};
  Matrix<float> x(7, 5);
  fill_normal(x, 1.0, rng);
  InputStatistics whole{5}, parts{5};
  whole.add(x);
  parts.add(x.topRows(3));
  parts.add(x.bottomRows(4));

  CHECK(whole.rows == 7);
  CHECK(parts.rows == 7);
  CHECK(whole.magnitudes.total() == 35);
  const Matrix<double> exact = x.cast<double>();
  for (Index i = 0; i < 5; ++i) {
    CHECK(whole.largest(i) == x.col(i).cwiseAbs().maxCoeff());
    CHECK(whole.sums(i) == Approx(exact.col(i).sum()));
    CHECK(whole.mean_square(i) == Approx(exact.col(i).squaredNorm() / 7));
    for (Index j = 0; j < 5; ++j) {
      CHECK(whole.second_moments(i, j) == Approx(exact.col(i).dot(exact.col(j))).margin(1e-5));
      CHECK(parts.second_moments(i, j) == Approx(whole.second_moments(i, j)).margin(1e-5));
    }
  }
  x(2, 3) = std::numeric_limits<float>::quiet_NaN();
  CHECK(has(error_of([&] { whole.add(x); }), "not finite"));
  CHECK(whole.rows == 7);
}

TEST_CASE("Calibration sees what every linear map reads", "[compress]") {
  for (const TokenScheme tokens : {TokenScheme::fused, TokenScheme::separate}) {
    TransformerConfig shape = small_config(6);
    shape.tokens = tokens;
    const SmallRun run{shape};
    const auto model = run.model<float>();
    RecordingTransformer recording{model.config, model.layout};
    const auto from = parameters_of(model);
    const auto to = parameters_of(recording);
    for (std::size_t i = 0; i < from.size(); ++i) to[i].map() = from[i].map();
    ContextBatch windows;
    run.sampler.sample(5, Rng{4}, windows);
    Calibration calibration{model};
    calibration.add(model, windows);
    CHECK(calibration.maps().size() == 9);
    CHECK(calibration.find("blocks.2.mlp.up") == nullptr);

    Calibration expected{model};  // of the right sizes, to be filled by hand
    std::vector<float> rows;
    for (int window = 0; window < 5; ++window) {
      RecordingTransformer::Cache cache;
      const int steps = windows.lengths[static_cast<std::size_t>(window)];
      Matrix<float> outputs(steps, model.head.output_size());
      recording.forward(windows.rows_of(window, rows), steps, cache, outputs);
      const auto add = [&](std::string_view name, const Matrix<float>& x) {
        const_cast<InputStatistics*>(expected.find(name))->add(x);
      };
      for (std::size_t i = 0; i < 2; ++i) {
        const std::string block = "blocks." + std::to_string(i);
        add(block + ".attention.qkv", cache.blocks[i].attention.qkv_map.x);
        add(block + ".attention.output", cache.blocks[i].attention.output_map.x);
        add(block + ".mlp.up", cache.blocks[i].feed_forward.up.x);
        add(block + ".mlp.down", cache.blocks[i].feed_forward.down.x);
      }
      add("head", cache.ends.head.x);
    }
    for (const Calibration::Map& map : expected.maps()) {
      INFO(map.name);
      const InputStatistics& found = *calibration.find(map.name);
      CHECK(found.rows == map.inputs.rows);
      CHECK(found.rows > 0);
      CHECK(found.largest == map.inputs.largest);
      CHECK(found.sums == map.inputs.sums);
      CHECK(found.second_moments == map.inputs.second_moments);
      CHECK(found.magnitudes.percentile(0.9) == map.inputs.magnitudes.percentile(0.9));
    }
  }
}

TEST_CASE("A model with values beside the actions is calibrated", "[compress]") {
  const SmallRun run{small_config(6)};
  CausalTransformer<float, ValueParts<float>> model{run.shape, run.layout};
  Rng rng{1};
  model.initialize(rng);
  ContextBatch windows;
  run.sampler.sample(2, Rng{4}, windows);
  Calibration calibration{model};

  calibration.add(model, windows);

  CHECK(calibration.find("head")->rows == windows.lengths[0] + windows.lengths[1]);
}

TEST_CASE("A calibration of a pattern holds the maps that match alone", "[compress]") {
  const SmallRun run;
  const auto model = run.model<float>();
  ContextBatch windows;
  run.sampler.sample(4, Rng{4}, windows);
  Calibration some{model, "*.mlp.down"};
  some.add(model, windows);
  CHECK(some.maps().size() == 2);
  CHECK(some.find("head") == nullptr);
  const Calibration all = calibrate(model, run.sampler, 4, Rng{4});
  CHECK(all.find("blocks.1.mlp.down")->second_moments == some.find("blocks.1.mlp.down")->second_moments);
  CHECK(has(error_of([&] { (void)calibrate(model, run.sampler, 0, Rng{4}); }), "window_count is 0"));
}

TEST_CASE("Windows that a model cannot read are refused", "[compress]") {
  const SmallRun run{small_config(8)};
  const auto shorter = small_model<float>(small_config(7), run.layout);
  CHECK(has(error_of([&] { (void)calibrate(shorter, run.sampler, 1, Rng{4}); }),
            "windows have 8 steps, but the model's context is 7"));
  StepLayout other = run.layout;
  other.closing_token = !other.closing_token;
  const auto stranger = small_model<float>(small_config(8), other);
  CHECK(has(error_of([&] { (void)calibrate(stranger, run.sampler, 1, Rng{4}); }), "step layout differs"));
  ContextBatch windows;
  run.sampler.sample(1, Rng{4}, windows);
  windows.feature_count += 1;
  Calibration calibration{run.model<float>()};
  CHECK(has(error_of([&] { calibration.add(run.model<float>(), windows); }), "rows of the windows have"));
}

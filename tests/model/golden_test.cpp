// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/model/causal_transformer.hpp>

#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <icrl/history/step_layout.hpp>
#include <icrl/math/matrix.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/nn/parameters.hpp>

#include "support/catch.hpp"

using namespace icrl;

namespace {

/// One model of golden.txt, which PyTorch computed in double; make_golden.py describes the file.
struct GoldenModel {
  std::string name;
  TransformerConfig config;
  StepLayout layout;
  int sequence_count = 0, steps = 0;
  std::map<std::string, Matrix<double>> arrays;

  const Matrix<double>& array(const std::string& key) const {
    const auto found = arrays.find(key);
    if (found == arrays.end()) throw std::runtime_error("golden.txt: model " + name + " has no array " + key);
    return found->second;
  }
};

template <typename T>
T read(std::istream& in) {
  T value{};
  if (!(in >> value)) throw std::runtime_error("golden.txt ends early or holds an unexpected word");
  return value;
}

template <typename T>
T read_named(std::istream& in, const std::string& name) {
  const auto word = read<std::string>(in);
  if (word != name) throw std::runtime_error("golden.txt has \"" + word + "\" in the place of \"" + name + "\"");
  return read<T>(in);
}

Space read_space(std::istream& in, const std::string& name) {
  const auto kind = read_named<std::string>(in, name);
  const int size = read<int>(in);
  if (kind == "discrete") return Discrete{size};
  const auto dimensions = static_cast<std::size_t>(size);
  if (kind == "box") return Box{std::vector<float>(dimensions, -2.0f), std::vector<float>(dimensions, 2.0f)};
  MultiDiscrete space;
  for (int i = 0; i < size; ++i) space.counts.push_back(read<int>(in));
  return space;
}

Matrix<double> read_matrix(std::istream& in) {
  const auto rows = read<Index>(in), columns = read<Index>(in);
  Matrix<double> values(rows, columns);
  for (Index i = 0; i < values.size(); ++i) values.data()[i] = read<double>(in);
  return values;
}

GoldenModel read_model(std::istream& in) {
  GoldenModel golden;
  golden.name = read<std::string>(in);
  golden.config.width = read_named<int>(in, "width");
  golden.config.layer_count = read_named<int>(in, "layers");
  golden.config.head_count = read_named<int>(in, "heads");
  golden.config.context = read_named<int>(in, "context");
  const auto positions = read_named<std::string>(in, "positions");
  golden.config.positions = positions == "rotary" ? PositionScheme::rotary : PositionScheme::learned;
  const auto tokens = read_named<std::string>(in, "tokens");
  golden.config.tokens = tokens == "separate" ? TokenScheme::separate : TokenScheme::fused;
  golden.layout.closing_token = read_named<int>(in, "closing") != 0;
  golden.layout.observation_space = read_space(in, "observation");
  golden.layout.action_space = read_space(in, "action");
  golden.sequence_count = read_named<int>(in, "sequences");
  golden.steps = read_named<int>(in, "steps");
  for (auto word = read<std::string>(in); word != "end"; word = read<std::string>(in)) {
    const auto name = read<std::string>(in);
    golden.arrays[name] = read_matrix(in);
  }
  return golden;
}

std::vector<GoldenModel> read_golden() {
  const auto path = std::filesystem::path{__FILE__}.parent_path().parent_path() / "support" / "golden.txt";
  std::ifstream in{path};
  if (!in) throw std::runtime_error("cannot open " + path.string());
  std::vector<GoldenModel> models;
  for (std::string word; in >> word;) models.push_back(read_model(in));
  return models;
}

/// ||actual - expected|| / ||expected||, where a NaN counts as infinitely wrong.
template <typename Derived>
double relative_error(const Eigen::MatrixBase<Derived>& actual, const Matrix<double>& expected) {
  const double error = (actual.template cast<double>() - expected).norm() / expected.norm();
  return error >= 0 ? error : std::numeric_limits<double>::infinity();
}

/// `count` rows of a row-major matrix, without a copy.
template <typename S>
std::span<const S> span_of(const Matrix<S>& values, Index first, Index count = 1) {
  return {values.data() + first * values.cols(), static_cast<std::size_t>(count * values.cols())};
}

/// The model with the file's weights, each of which must be asked for exactly once.
template <typename S>
CausalTransformer<S> make_model(const GoldenModel& golden) {
  CausalTransformer<S> model{golden.config, golden.layout};
  std::size_t used = 0, stored = 0;
  for_each_parameter(
      [&](std::string_view name, auto& weight) {
        if (weight.size() == 0) return;
        const Matrix<double>& value = golden.array("weight/" + std::string{name});
        REQUIRE(weight.rows() == value.rows());
        REQUIRE(weight.cols() == value.cols());
        weight = value.cast<S>();
        ++used;
      },
      model);
  for (const auto& [name, value] : golden.arrays) stored += name.starts_with("weight/");
  REQUIRE(used == stored);
  return model;
}

/// What one forward and backward pass over all sequences gives.
template <typename S>
struct Pass {
  Matrix<S> outputs, doutputs;  // one row a step
  S loss = 0;                   // mean over the labeled steps
  CausalTransformer<S> grad;
};

template <typename S>
Pass<S> run_pass(const GoldenModel& golden, S label_smoothing) {
  const CausalTransformer<S> model = make_model<S>(golden);
  const Matrix<float> features = golden.array("features").cast<float>();
  const Matrix<float> actions = golden.array("actions").cast<float>();
  const Matrix<double>& weights = golden.array("label_weights");
  const Index rows = features.rows(), size = model.actions.parameter_count();
  Pass<S> pass{Matrix<S>(rows, size), Matrix<S>(rows, size), S(0), model};
  for_each_parameter([](std::string_view, auto& weight) { weight.setZero(); }, pass.grad);

  typename CausalTransformer<S>::Cache cache;
  for (Index first = 0; first < rows; first += golden.steps) {
    const auto window = span_of(features, first, golden.steps);
    model.forward(window, golden.steps, cache, pass.outputs.middleRows(first, golden.steps));
    for (Index row = first; row < first + golden.steps; ++row) {
      const S weight = static_cast<S>(weights(row, 0) / weights.sum());
      const std::span<S> doutputs{pass.doutputs.row(row).data(), static_cast<std::size_t>(size)};
      pass.loss += model.actions.template loss_and_gradient<S>(span_of(pass.outputs, row), span_of(actions, row),
                                                               label_smoothing, weight, doutputs);
    }
    model.backward(window, golden.steps, pass.doutputs.middleRows(first, golden.steps), cache, pass.grad);
  }
  return pass;
}

template <typename S>
void check_agreement(const GoldenModel& golden, S label_smoothing, const std::string& suffix, double tolerance) {
  INFO("model " << golden.name << ", label smoothing " << suffix);

  const Pass<S> pass = run_pass<S>(golden, label_smoothing);

  CHECK(relative_error(pass.outputs, golden.array("outputs")) <= tolerance);
  CHECK(relative_error(Matrix<S>::Constant(1, 1, pass.loss), golden.array("loss/" + suffix)) <= tolerance);
  CHECK(relative_error(pass.doutputs, golden.array("doutputs/" + suffix)) <= tolerance);
  if (label_smoothing > S(0)) return;  // the file's weight gradients belong to the loss without smoothing
  for_each_parameter(
      [&](std::string_view name, const auto& gradient) {
        if (gradient.size() == 0) return;
        INFO("gradient of " << name);
        CHECK(relative_error(gradient, golden.array("gradient/" + std::string{name})) <= tolerance);
      },
      pass.grad);
}

template <typename S>
void check_all(double tolerance) {
  const auto models = read_golden();
  REQUIRE(models.size() == 3);
  for (const GoldenModel& golden : models) {
    check_agreement<S>(golden, S(0), "0", tolerance);
    if (golden.arrays.contains("loss/0.1")) check_agreement<S>(golden, S(0.1), "0.1", tolerance);
  }
}

}  // namespace

TEST_CASE("The transformer's outputs, losses and gradients equal PyTorch's in double", "[model][golden]") {
  check_all<double>(1e-9);
}

TEST_CASE("The transformer's outputs, losses and gradients equal PyTorch's in float", "[model][golden]") {
  check_all<float>(1e-5);
}

// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// The transformer and its trainer for one target. Compiled once per target, with ICRL_TARGET its name ("x86-64-v3"),
// ICRL_LEVEL its number (3; 5 with bfloat16, 0 for whatever the flags say) and ICRL_BUILD the name of the one object
// that the library sees of it.

// What the project's flags add to -march would be in every build, and on an older CPU an illegal instruction.
#if ICRL_LEVEL > 0
#if defined(__AES__) || defined(__PCLMUL__) || defined(__SHA__) || defined(__ADX__) || defined(__RDRND__) || \
    defined(__GFNI__) || defined(__AVX512VBMI__) || defined(__AVX512FP16__)
#define ICRL_HAS_TOO_MUCH
#elif ICRL_LEVEL == 2 && \
    (defined(__AVX__) || defined(__BMI__) || defined(__BMI2__) || defined(__LZCNT__) || defined(__MOVBE__))
#define ICRL_HAS_TOO_MUCH
#elif ICRL_LEVEL == 3 && (defined(__AVX512F__) || defined(__AVXVNNI__))
#define ICRL_HAS_TOO_MUCH
#elif ICRL_LEVEL == 4 && (defined(__AVX512VNNI__) || defined(__AVX512BF16__))
#define ICRL_HAS_TOO_MUCH
#endif
#if defined(ICRL_HAS_TOO_MUCH)
#error \
    "icrl::compiled: the project's flags turn on instructions that this target does not have: leave out -mavx2 and its like"
#elif ICRL_LEVEL > 2 && !(defined(__AVX2__) && defined(__FMA__)) || ICRL_LEVEL > 3 && !defined(__AVX512F__)
#error \
    "icrl::compiled: the project's flags turn off instructions that this target has: leave out -mno-avx2 and its like"
#endif
#endif

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <icrl/compiled/transformer_build.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/train/distil_trainer.hpp>

namespace icrl::detail {

namespace {

using Model = CausalTransformer<float>;

class State final : public BuiltState {
public:
  explicit State(Model::State state) : state_{std::move(state)} {}

  [[nodiscard]] std::unique_ptr<BuiltState> clone() const override { return std::make_unique<State>(*this); }
  void assign(const BuiltState& other) override { state_ = static_cast<const State&>(other).state_; }
  [[nodiscard]] std::int64_t length() const override { return state_.length(); }
  void clear() override { state_.clear(); }
  void save(ByteWriter& out) const override { state_.save(out); }
  void restore(ByteReader& in) override { state_.restore(in); }

  [[nodiscard]] Model::State& get() { return state_; }

private:
  Model::State state_;
};

struct Workspace final : BuiltWorkspace {
  Model::StreamWorkspace stream;
  std::vector<StreamInput<Model::State>> lanes;
};

class Transformer;

class Trainer final : public BuiltTrainer {
public:
  Trainer(Model& model, const WindowSampler& sampler, const DistilConfig& config) : trainer_{model, sampler, config} {}

  DistilMetrics step() override { return trainer_.step(); }
  void offer(double score) override { trainer_.offer(score); }
  [[nodiscard]] const DistilProgress& progress() const override { return trainer_.progress(); }
  [[nodiscard]] const DistilConfig& config() const override { return trainer_.config(); }
  void save(const std::filesystem::path& path) const override { trainer_.save(path); }
  void restore(const std::filesystem::path& path) override { trainer_.restore(path); }
  void copy_averaged(BuiltTransformer& model) const override;
  void copy_best(BuiltTransformer& model) const override;

private:
  DistilTrainer<Model> trainer_;
};

class Transformer final : public BuiltTransformer {
public:
  Transformer(const TransformerConfig& config, const StepLayout& layout) : model_{config, layout} {}

  [[nodiscard]] std::unique_ptr<BuiltTransformer> clone() const override {
    return std::make_unique<Transformer>(*this);
  }
  void initialize(Rng& rng) override { model_.initialize(rng); }
  [[nodiscard]] std::vector<TensorView> tensors() const override { return tensors_of(model_); }

  [[nodiscard]] std::vector<std::unique_ptr<BuiltState>> make_states(std::size_t count) const override {
    std::vector<std::unique_ptr<BuiltState>> states;
    states.reserve(count);
    for (Model::State& state : model_.make_states(count)) states.push_back(std::make_unique<State>(std::move(state)));
    return states;
  }
  [[nodiscard]] std::unique_ptr<BuiltWorkspace> make_workspace() const override {
    return std::make_unique<Workspace>();
  }
  void reserve(BuiltWorkspace& workspace, std::ptrdiff_t lanes) const override {
    auto& own = static_cast<Workspace&>(workspace);
    own.lanes.reserve(static_cast<std::size_t>(lanes));
    model_.reserve(own.stream, lanes);
  }
  void step(std::span<const BuiltInput> lanes, BuiltWorkspace& workspace, BuiltOutputs outputs) const override {
    auto& own = static_cast<Workspace&>(workspace);
    own.lanes.clear();
    for (const BuiltInput& lane : lanes)
      own.lanes.push_back({&static_cast<State*>(lane.state)->get(), lane.features, lane.wants_output});
    model_.step(own.lanes, own.stream,
                Eigen::Map<Matrix<float>, 0, Eigen::OuterStride<>>{outputs.data, outputs.rows, outputs.columns,
                                                                   Eigen::OuterStride<>{outputs.stride}});
  }
  [[nodiscard]] std::unique_ptr<BuiltTrainer> make_trainer(const WindowSampler& sampler,
                                                           const DistilConfig& config) override {
    return std::make_unique<Trainer>(model_, sampler, config);
  }

  [[nodiscard]] Model& get() { return model_; }

private:
  Model model_;
};

void Trainer::copy_averaged(BuiltTransformer& model) const {
  copy_weights(trainer_.averaged(), static_cast<Transformer&>(model).get());
}
void Trainer::copy_best(BuiltTransformer& model) const {
  copy_weights(trainer_.best(), static_cast<Transformer&>(model).get());
}

std::unique_ptr<BuiltTransformer> make_transformer(const TransformerConfig& config, const StepLayout& layout) {
  return std::make_unique<Transformer>(config, layout);
}

}  // namespace

extern "C" {
// Data, not a function: it may be read on a CPU that does not run the target. NOLINTNEXTLINE: declared in targets.cpp
extern const TransformerBuild ICRL_BUILD;
const TransformerBuild ICRL_BUILD{ICRL_TARGET, &make_transformer, &Model::weight_count};
}

}  // namespace icrl::detail

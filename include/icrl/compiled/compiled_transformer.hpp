// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <icrl/compiled/transformer_build.hpp>
#include <icrl/core/assert.hpp>
#include <icrl/env/action_distribution.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/model/tensors.hpp>

// The transformer out of the compiled library, which a program gets by linking icrl::compiled. It takes a fraction of
// the time to compile, and one portable binary uses what the CPU that it runs on has.
namespace icrl {

/// The targets that the library was compiled for and that this CPU runs, such as "x86-64-v2" and "x86-64-v3"; the
/// fastest is last. Throws Error if there is none.
[[nodiscard]] std::vector<std::string_view> compiled_targets();

namespace detail {

/// The library as compiled for `target`; for the fastest target of this CPU where it is empty. Throws Error, which
/// lists the targets, if the library was not compiled for it or this CPU does not run it.
[[nodiscard]] const TransformerBuild& transformer_build(std::string_view target);

}  // namespace detail

/// A CausalTransformer<float> from the compiled library: the same weights, files and bits as those of a build of the
/// headers for the same target. It acts wherever a Streaming model does, and CompiledTrainer trains it.
class CompiledTransformer {
public:
  using Scalar = float;                                           ///< of weights and outputs
  static constexpr std::string_view kind = "causal_transformer";  ///< what files call the model

  /// What the model remembers of one stream. A moved-from state may only be assigned to or destroyed.
  class State {
  public:
    /// A copy with its own memory.
    State(const State& other) : build_{other.build_}, built_{other.built_->clone()} {}
    /// Takes over the memory.
    State(State&&) noexcept = default;
    /// Allocates nothing if both are states of one model.
    State& operator=(const State& other) {
      if (this == &other) return *this;
      if (built_ && build_ == other.build_) {
        built_->assign(*other.built_);
      } else {
        *this = State{other};
      }
      return *this;
    }
    /// Takes over the memory.
    State& operator=(State&&) noexcept = default;
    ~State() = default;

    /// Steps since the state was made or cleared.
    [[nodiscard]] std::int64_t length() const { return built_->length(); }
    /// Forgets the stream.
    void clear() { built_->clear(); }
    /// See KeyValueCache: the bytes are the same.
    void save(ByteWriter& out) const { built_->save(out); }
    /// See KeyValueCache.
    void restore(ByteReader& in) { built_->restore(in); }

  private:
    friend class CompiledTransformer;
    State(const detail::TransformerBuild* build, std::unique_ptr<detail::BuiltState> built)
        : build_{build}, built_{std::move(built)} {}

    const detail::TransformerBuild* build_;
    std::unique_ptr<detail::BuiltState> built_;
  };

  /// Scratch memory of `step`, for any number of lanes; sized by `reserve` or by the largest pass so far. A copy is
  /// empty.
  class StreamWorkspace {
  public:
    StreamWorkspace() = default;
    /// An empty one.
    StreamWorkspace(const StreamWorkspace&) : StreamWorkspace{} {}
    /// Takes over the memory.
    StreamWorkspace(StreamWorkspace&&) noexcept = default;
    /// Leaves an empty one.
    StreamWorkspace& operator=(const StreamWorkspace&) { return *this = StreamWorkspace{}; }
    /// Takes over the memory.
    StreamWorkspace& operator=(StreamWorkspace&&) noexcept = default;
    ~StreamWorkspace() = default;

  private:
    friend class CompiledTransformer;
    const detail::TransformerBuild* build_ = nullptr;
    std::unique_ptr<detail::BuiltWorkspace> built_;
    std::vector<detail::BuiltInput> lanes_;
  };

  TransformerConfig config;    ///< the model's shape; not to be changed
  StepLayout layout;           ///< of its rows; not to be changed
  ActionDistribution actions;  ///< reads its outputs

  /// All weights zero, all norms one. `target`: one of `compiled_targets()`; by default the fastest. Throws Error for
  /// an invalid configuration or layout, and for an unknown target.
  CompiledTransformer(const TransformerConfig& shape, const StepLayout& steps, std::string_view target = {})
      : CompiledTransformer{shape, steps, detail::transformer_build(target)} {}

  /// A copy with its own weights, for the same target.
  CompiledTransformer(const CompiledTransformer& other)
      : config{other.config},
        layout{other.layout},
        actions{other.actions},
        build_{other.build_},
        built_{other.built_->clone()} {}
  /// The states of a model that is moved stay valid. A moved-from model may only be assigned to or destroyed.
  CompiledTransformer(CompiledTransformer&&) noexcept = default;
  /// A copy with its own weights. States of the model that was here before belong to none.
  CompiledTransformer& operator=(const CompiledTransformer& other) { return *this = CompiledTransformer{other}; }
  /// Takes over the weights; states of the model that was here before belong to none.
  CompiledTransformer& operator=(CompiledTransformer&&) noexcept = default;
  ~CompiledTransformer() = default;

  /// Number of weights of such a model, without constructing it.
  [[nodiscard]] static std::int64_t weight_count(const TransformerConfig& shape, const StepLayout& steps) {
    return detail::transformer_build({}).weight_count(shape, steps);
  }

  /// For a fresh model: the weights of CausalTransformer::initialize.
  void initialize(Rng& rng) { built_->initialize(rng); }
  /// The target whose instructions the model uses.
  [[nodiscard]] std::string_view target() const { return build_->target; }
  /// All weights, with their names in files.
  [[nodiscard]] std::vector<TensorView> tensor_list() const { return built_->tensors(); }

  /// The steps that a state can take: the context.
  [[nodiscard]] std::optional<int> max_stream_length() const { return config.context; }
  /// Where the windows that the model is trained on begin.
  [[nodiscard]] WindowStart window_start() const { return config.window_start; }

  /// The states of `count` streams, side by side in memory.
  [[nodiscard]] std::vector<State> make_states(std::size_t count) const {
    std::vector<State> states;
    states.reserve(count);
    for (std::unique_ptr<detail::BuiltState>& state : built_->make_states(count))
      states.push_back(State{build_, std::move(state)});
    return states;
  }

  /// Sizes a workspace, so that passes of up to `lanes` lanes allocate nothing.
  void reserve(StreamWorkspace& workspace, Index lanes) const {
    workspace.lanes_.reserve(static_cast<std::size_t>(lanes));
    built_->reserve(own(workspace), lanes);
  }

  /// See CausalTransformer::step.
  void step(std::span<const StreamInput<State>> lanes, StreamWorkspace& workspace, MatrixOut<float> outputs) const {
    // Checked here as well, because assertions inside the library are those of its own build.
    ICRL_ASSERT(outputs.rows() >= static_cast<Index>(lanes.size()) && outputs.cols() == actions.parameter_count(),
                "step: outputs must have a row per lane and a column per output");
    workspace.lanes_.clear();
    for (const StreamInput<State>& lane : lanes) {
      ICRL_ASSERT(lane.state->build_ == build_, "step: a lane's state belongs to a model for another target");
      ICRL_ASSERT(lane.state->length() < config.context, "step: a lane's cache is full");
      workspace.lanes_.push_back({lane.state->built_.get(), lane.features, lane.wants_output});
    }
    built_->step(workspace.lanes_, own(workspace),
                 {outputs.data(), outputs.rows(), outputs.cols(), outputs.outerStride()});
  }

private:
  friend class CompiledTrainer;

  CompiledTransformer(const TransformerConfig& shape, const StepLayout& steps, const detail::TransformerBuild& build)
      : config{checked(shape)},
        layout{checked(steps)},
        actions{steps.action_space},
        build_{&build},
        built_{build.make(shape, steps)} {}

  /// The part of a workspace that belongs to this model's build.
  [[nodiscard]] detail::BuiltWorkspace& own(StreamWorkspace& workspace) const {
    if (!workspace.built_ || workspace.build_ != build_) {
      workspace.built_ = built_->make_workspace();
      workspace.build_ = build_;
    }
    return *workspace.built_;
  }

  template <typename T>
  static const T& checked(const T& value) {
    validate(value);
    return value;
  }

  const detail::TransformerBuild* build_;
  std::unique_ptr<detail::BuiltTransformer> built_;
};

/// Number of weights.
[[nodiscard]] inline Index parameter_count(const CompiledTransformer& model) {
  std::size_t bytes = 0;
  for (const TensorView& tensor : model.tensor_list()) bytes += tensor.bytes.size();
  return static_cast<Index>(bytes / sizeof(float));
}

/// Copies only the numbers, to a model of the same configuration and layout.
inline void copy_weights(const CompiledTransformer& from, CompiledTransformer& to) {
  const std::vector<TensorView> sources = from.tensor_list();
  const std::vector<MutableTensorView> targets = tensors_of(to);
  const auto fits = [](const TensorView& a, const MutableTensorView& b) { return a.shape == b.shape; };
  ICRL_ASSERT(std::equal(sources.begin(), sources.end(), targets.begin(), targets.end(), fits),
              "copy_weights: the models have different shapes");
  for (std::size_t i = 0; i < sources.size(); ++i) std::ranges::copy(sources[i].bytes, targets[i].bytes.begin());
}

}  // namespace icrl

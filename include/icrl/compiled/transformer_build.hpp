// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include <icrl/core/byte_stream.hpp>
#include <icrl/core/rng.hpp>
#include <icrl/core/tensor_view.hpp>
#include <icrl/history/step_layout.hpp>
#include <icrl/model/transformer_config.hpp>
#include <icrl/train/distil_metrics.hpp>

// What the compiled library has once per target. Only types whose layout is the same for every target cross these
// functions: no matrices, no vector registers. Each object belongs to the build that made it.
namespace icrl {

class WindowSampler;
struct DistilConfig;

}  // namespace icrl

namespace icrl::detail {

/// A CausalTransformer<float>::State.
class BuiltState {
public:
  virtual ~BuiltState() = default;
  [[nodiscard]] virtual std::unique_ptr<BuiltState> clone() const = 0;
  /// Copies a state of the same model.
  virtual void assign(const BuiltState& other) = 0;
  [[nodiscard]] virtual std::int64_t length() const = 0;
  virtual void clear() = 0;
  virtual void save(ByteWriter& out) const = 0;
  virtual void restore(ByteReader& in) = 0;
};

/// A CausalTransformer<float>::StreamWorkspace.
class BuiltWorkspace {
public:
  virtual ~BuiltWorkspace() = default;
};

/// A StreamInput.
struct BuiltInput {
  BuiltState* state;
  const float* features;
  bool wants_output;
};

/// Rows of outputs, (rows, columns), each `stride` numbers after the one before.
struct BuiltOutputs {
  float* data;
  std::ptrdiff_t rows, columns, stride;
};

class BuiltTransformer;

/// A DistilTrainer<CausalTransformer<float>>.
class BuiltTrainer {
public:
  virtual ~BuiltTrainer() = default;
  virtual DistilMetrics step() = 0;
  virtual void offer(double score) = 0;
  [[nodiscard]] virtual const DistilProgress& progress() const = 0;
  [[nodiscard]] virtual const DistilConfig& config() const = 0;
  virtual void save(const std::filesystem::path& path) const = 0;
  virtual void restore(const std::filesystem::path& path) = 0;
  virtual void copy_averaged(BuiltTransformer& model) const = 0;
  virtual void copy_best(BuiltTransformer& model) const = 0;
};

/// A CausalTransformer<float>.
class BuiltTransformer {
public:
  virtual ~BuiltTransformer() = default;
  [[nodiscard]] virtual std::unique_ptr<BuiltTransformer> clone() const = 0;
  virtual void initialize(Rng& rng) = 0;
  [[nodiscard]] virtual std::vector<TensorView> tensors() const = 0;
  [[nodiscard]] virtual std::vector<std::unique_ptr<BuiltState>> make_states(std::size_t count) const = 0;
  [[nodiscard]] virtual std::unique_ptr<BuiltWorkspace> make_workspace() const = 0;
  virtual void reserve(BuiltWorkspace& workspace, std::ptrdiff_t lanes) const = 0;
  virtual void step(std::span<const BuiltInput> lanes, BuiltWorkspace& workspace, BuiltOutputs outputs) const = 0;
  /// Model and sampler must outlive the trainer.
  [[nodiscard]] virtual std::unique_ptr<BuiltTrainer> make_trainer(const WindowSampler& sampler,
                                                                   const DistilConfig& config) = 0;
};

/// The library as compiled for one target.
struct TransformerBuild {
  const char* target;  ///< such as "x86-64-v3"
  std::unique_ptr<BuiltTransformer> (*make)(const TransformerConfig& config, const StepLayout& layout);
  std::int64_t (*weight_count)(const TransformerConfig& config, const StepLayout& layout);
};

}  // namespace icrl::detail

// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include <icrl/model/causal_transformer.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/nn/bf16_block.hpp>

namespace icrl {

/// Training passes over a transformer whose blocks multiply in bfloat16, see Bf16Block; embedding, final norm and head
/// are those of the model. The model must outlive it and may not be replaced. `pack` has to be called before the first
/// pass and again after every change of the weights.
template <typename Parts>
class Bf16TransformerOf {
public:
  using Scalar = float;
  using Model = CausalTransformer<float, Parts>;  ///< what the passes are of

  /// The memory of one pass over one window; sized by the first pass, then reused.
  struct Cache {
    typename Model::EndsCache ends;
    std::vector<Bf16Block::Cache> blocks;
    std::vector<Bf16Block::Scratch> scratch;  ///< one, or one per block where their sizes differ
  };

  /// Whether the model supports this pass: the size of a head must be even.
  [[nodiscard]] static bool can_be(const Model& model) { return Bf16Attention::can_be(model.config.head_size()); }
  /// Makes the copies of the weights, without their values; see `pack`.
  explicit Bf16TransformerOf(const Model& model) : model_{&model} {
    blocks_.reserve(model.blocks.size());
    for (const Block<float>& block : model.blocks) blocks_.emplace_back(block);
  }
  explicit Bf16TransformerOf(const Model&&) = delete;

  void pack() {
    for (Bf16Block& block : blocks_) block.pack(scratch_);
    is_packed_ = true;
  }

  /// The model, which it does not own.
  [[nodiscard]] const Model& model() const { return *model_; }

  /// As the model's function.
  void forward(std::span<const float> features, int steps, Cache& cache, MatrixOut<float> outputs) const {
    ICRL_ASSERT(is_packed_, "bfloat16 pass: call pack() first");
    cache.blocks.resize(blocks_.size());
    cache.scratch.resize(model_->scratch_count());
    MatrixOut<float> stream = model_->embed(features, steps, cache.ends);
    for (std::size_t i = 0; i < blocks_.size(); ++i)
      blocks_[i].forward(model_->rotary, cache.blocks[i], cache.scratch[model_->scratch_of(i)], stream);
    model_->read_out(steps, cache.ends, outputs);
  }
  /// As the model's function, after `forward` of the same window. Adds to `grad`.
  void backward(std::span<const float> features, int steps, MatrixIn<float> doutputs, Cache& cache, Model& grad) const {
    MatrixOut<float> dstream = model_->read_out_backward(steps, doutputs, cache.ends, grad);
    for (std::size_t i = blocks_.size(); i-- > 0;)
      blocks_[i].backward(model_->rotary, cache.blocks[i], cache.scratch[model_->scratch_of(i)], grad.blocks[i],
                          dstream);
    model_->embed_backward(features, steps, cache.ends, grad);
  }

private:
  const Model* model_;
  std::vector<Bf16Block> blocks_;
  Bf16Linear::PackScratch scratch_;
  bool is_packed_ = false;
};

/// Passes over a plain CausalTransformer<float>.
using Bf16Transformer = Bf16TransformerOf<DenseParts<float>>;

/// Of transformers whose blocks are dense.
template <typename Parts>
requires std::same_as<typename CausalTransformer<float, Parts>::Layer, Block<float>>
struct Bf16PassOf<CausalTransformer<float, Parts>> {
  using Type = Bf16TransformerOf<Parts>;  ///< of the blocks' weights
};

}  // namespace icrl

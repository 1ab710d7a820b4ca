// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <icrl/model/causal_transformer.hpp>
#include <icrl/model/concepts.hpp>
#include <icrl/nn/dropout_block.hpp>
#include <icrl/nn/dropout_post_norm_block.hpp>

namespace icrl {

/// Training passes over a transformer with dropout of the embedded tokens, of what each layer adds to the residual
/// stream, and of attention's weights (Vaswani et al., 2017, section 5.4). At rate 0 it gives the bits of the model's
/// own pass. It holds no weights; the model must outlive it. The products are those of the model's own pass.
template <std::floating_point S, typename Parts>
class DropoutTransformer {
public:
  using Scalar = S;
  using Model = CausalTransformer<S, Parts>;  ///< what the passes are of
  /// The pass over one block.
  using BlockPass = DropoutBlock<typename Model::Layer>;

  /// The memory of one pass over one window; sized by the first pass, then reused.
  struct Cache {
    Rng masks{0};  ///< set it before every forward pass: what is dropped is a function of it and of the place
    typename Model::EndsCache ends;
    std::vector<typename BlockPass::Cache> blocks;
    std::vector<typename BlockPass::Scratch> scratch;  ///< one, or one per block where their sizes differ
  };

  /// Throws Error for a rate outside [0, 1).
  DropoutTransformer(const Model& model, const DropoutRates& rates) : model_{&model}, rates_{rates} { validate(rates); }
  DropoutTransformer(const Model&&, const DropoutRates&) = delete;

  /// The model, which it does not own.
  [[nodiscard]] const Model& model() const { return *model_; }

  /// As the model's function, with the masks of `cache.masks`.
  void forward(std::span<const float> features, int steps, Cache& cache, MatrixOut<S> outputs) const {
    cache.blocks.resize(model_->blocks.size());
    cache.scratch.resize(model_->scratch_count());
    MatrixOut<S> stream = model_->embed(features, steps, cache.ends);
    drop_tokens(cache, stream);
    for (std::size_t i = 0; i < model_->blocks.size(); ++i)
      pass_of(i, cache).forward(model_->rotary, cache.blocks[i], cache.scratch[model_->scratch_of(i)], stream);
    model_->read_out(steps, cache.ends, outputs);
  }
  /// As the model's function, after `forward` of the same window. Adds to `grad`.
  void backward(std::span<const float> features, int steps, MatrixIn<S> doutputs, Cache& cache, Model& grad) const {
    MatrixOut<S> dstream = model_->read_out_backward(steps, doutputs, cache.ends, grad);
    for (std::size_t i = model_->blocks.size(); i-- > 0;) {
      pass_of(i, cache).backward(model_->rotary, cache.blocks[i], cache.scratch[model_->scratch_of(i)], grad.blocks[i],
                                 dstream);
    }
    drop_tokens(cache, dstream);
    model_->embed_backward(features, steps, cache.ends, grad);
  }

private:
  void drop_tokens(const Cache& cache, MatrixOut<S> stream) const {
    const Dropout dropout{rates_.embedding, cache.masks.fork(0)};
    if (dropout.is_used()) dropout.drop<S>(stream);
  }
  [[nodiscard]] BlockPass pass_of(std::size_t block, const Cache& cache) const {
    return {model_->blocks[block], rates_, cache.masks.fork(1 + static_cast<std::uint64_t>(block))};
  }

  const Model* model_;
  DropoutRates rates_;
};

namespace detail {

/// Blocks over which there is a pass with dropout.
template <typename B>
concept HasDropoutBlock = requires {
  typename DropoutBlock<B>::Cache;
};

}  // namespace detail

/// Of transformers that can be trained, if their blocks have such a pass.
template <std::floating_point S, typename Parts>
requires detail::HasDropoutBlock<typename CausalTransformer<S, Parts>::Layer>
struct DropoutPassOf<CausalTransformer<S, Parts>> {
  using Type = DropoutTransformer<S, Parts>;  ///< whatever the other parts are
};

}  // namespace icrl

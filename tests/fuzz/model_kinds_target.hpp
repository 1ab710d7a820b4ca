// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <concepts>

#include <icrl/io/model_file.hpp>
#include <icrl/io/save_model.hpp>
#include <icrl/model/mixture_transformer.hpp>
#include <icrl/model/recurrent_model.hpp>

#include "fuzz/life.hpp"
#include "fuzz/safetensors_target.hpp"
#include "support/quantized_maps.hpp"

namespace icrl::fuzz {

/// A file of a model that is no dense float transformer: integers of any width, a mixture of experts, or a recurrent
/// model. The model that is read acts, and is saved and read again.
struct ModelKindsTarget {
  [[nodiscard]] static Bytes make(Choices choices, Rng& rng) {
    static const test::TemporaryFolder folder;
    const auto path = folder / "made";
    const TransformerConfig shape = any_config(rng);
    const StepLayout layout = any_layout(rng);
    switch (choices.below(kind_count)) {
      case 0: {
        CausalTransformer<float> model{shape, layout};
        model.initialize(rng);
        constexpr std::array widths{8, 4, 3, 2};
        const int bits = widths[static_cast<std::size_t>(rng.below(4))];
        save_model(to_int8(model, test::random_maps(model, bits, rng.below(3), rng)), path);
        break;
      }
      case 1: {
        const int experts = 1 + rng.below(3);
        MixtureTransformer<float> model{{shape, {.expert_count = experts, .experts_per_token = 1 + rng.below(experts)}},
                                        layout};
        model.initialize(rng);
        save_model(model, path);
        break;
      }
      default: {
        RecurrentModel<float> model{{.width = shape.width,
                                     .layer_count = shape.layer_count,
                                     .state_size = 1 + rng.below(3),
                                     .hidden = shape.hidden},
                                    layout};
        model.initialize(rng);
        save_model(model, path);
      }
    }
    return to_frame(test::read_bytes(path));
  }

  static void run(Choices choices, const Bytes& input) {
    static MemoryFile memory;
    const int kind = choices.below(kind_count);
    memory.write(safetensors_of(choices, input));
    switch (kind) {
      case 0:
        return read<Int8Transformer>(memory.path(), choices);
      case 1:
        return read<MixtureTransformer<float>>(memory.path(), choices);
      default:
        return read<RecurrentModel<float>>(memory.path(), choices);
    }
  }

private:
  static constexpr int kind_count = 3;

  template <typename M>
  static void read(const std::filesystem::path& path, Choices choices) {
    const auto info = read_model_info<M>(path);
    // A table of angles is paid for by no weight: large ones are allowed, and take their time.
    if constexpr (requires { info.config.context; })
      if (info.config.context > 4096) return;
    const M model = load_model<M>(path);
    require(model.config == info.config && model.layout == info.layout, "a model is what its file says");
    if (choices.once_in(16)) {
      static const test::TemporaryFolder folder;
      save_model(model, folder / "again", info.metadata);
      require(fingerprint(load_model<M>(folder / "again")) == fingerprint(model), "a model comes back bit for bit");
    }
    if (info.weight_count > 4096 || model.config.width > 64) return;  // it would act too slowly
    if constexpr (requires { info.config.context; })
      if (info.config.context > 32) return;
    InContextAgents<M> agents{model, 1};
    Rng rng = choices.rng();
    live(agents, 20, 6, rng);
  }
};
static_assert(Target<ModelKindsTarget>);

}  // namespace icrl::fuzz

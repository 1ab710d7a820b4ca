// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <icrl/compress/bitmap_transformer.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/io/save_model.hpp>

#include "fuzz/life.hpp"
#include "fuzz/safetensors_target.hpp"

namespace icrl::fuzz {

/// A file of a pruned model with a bit per weight. The dense model that it stands for acts, and is the same after
/// another round.
struct BitmapTarget {
  [[nodiscard]] static Bytes make(Choices, Rng& rng) {
    static const test::TemporaryFolder folder;
    const auto path = folder / "made";
    CausalTransformer<float> model{any_config(rng), any_layout(rng)};
    model.initialize(rng);
    const double kept = rng.uniform();
    for_each_linear_map(model, [&](std::string_view, Linear<float>& map) {
      for (Index i = 0; i < map.weight.size(); ++i)
        if (!rng.chance(kept)) map.weight.data()[i] = 0;
    });
    save_model(BitmapTransformer{model}, path);
    return to_frame(test::read_bytes(path));
  }

  static void run(Choices choices, const Bytes& input) {
    static MemoryFile memory;
    memory.write(safetensors_of(choices, input));
    const auto info = read_model_info<BitmapTransformer>(memory.path());
    if (info.config.context > 4096) return;  // a table of angles is paid for by no weight
    const auto bitmap = load_model<BitmapTransformer>(memory.path());
    require(bitmap.config == info.config && bitmap.layout == info.layout, "a model is what its file says");
    const CausalTransformer<float> model = bitmap.dense();
    const BitmapTransformer again{model};
    require(again.config.kept_weights <= bitmap.config.kept_weights, "no weight is made up");
    require(fingerprint(again.dense()) == fingerprint(model), "a model comes back bit for bit");
    if (info.weight_count > 4096 || model.config.width > 64 || info.config.context > 32) return;  // too slow
    InContextAgents<CausalTransformer<float>> agents{model, 1};
    Rng rng = choices.rng();
    live(agents, 20, 6, rng);
  }
};
static_assert(Target<BitmapTarget>);

}  // namespace icrl::fuzz

// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include <icrl/io/model_file.hpp>

#include "fuzz/life.hpp"
#include "fuzz/safetensors_target.hpp"

namespace icrl::fuzz {

/// A model file. The model that is read acts for a few contexts, runs over a window, and is saved and read again.
struct ModelFileTarget {
  [[nodiscard]] static Bytes make(Choices, Rng& rng) {
    static const test::TemporaryFolder folder;
    const auto path = folder / "made";
    TransformerConfig config = any_config(rng);
    config.layer_count = 1;
    if (rng.chance(0.5)) {
      save_any<float>(config, path, rng);
    } else {
      save_any<double>(config, path, rng);
    }
    Bytes frame = to_frame(test::read_bytes(path));
    if (rng.chance(0.5)) change_number(frame, rng);
    return frame;
  }

  static void run(Choices choices, const Bytes& input) {
    static MemoryFile memory;
    const bool is_double = choices.once_in(4);
    memory.write(safetensors_of(choices, input));
    const ModelInfo info = read_model_info(memory.path());
    // A table of angles is paid for by no weight: large ones are allowed, and take their time.
    if (info.config.positions == PositionScheme::rotary && info.config.context > 4096) return;
    if (is_double) {
      check(load_model<double>(memory.path()), info, choices);
    } else {
      const auto model = load_model<float>(memory.path());
      check(model, info, choices);
      use(model, choices.rng());
    }
  }

private:
  template <typename S>
  static void save_any(const TransformerConfig& config, const std::filesystem::path& path, Rng& rng) {
    CausalTransformer<S> model{config, any_layout(rng)};
    model.initialize(rng);
    save_model(model, path, {{"note", "x"}});
  }

  /// One number of the header, a size or an offset say, becomes another: weights that are not the configuration's.
  static void change_number(Bytes& frame, Rng& rng) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto end = std::find(frame.begin(), frame.end(), '\0');
    const auto from = frame.begin() + rng.below(static_cast<int>(end - frame.begin()));
    const auto begin = std::find_if(from, end, is_digit), number_end = std::find_if_not(begin, end, is_digit);
    constexpr std::array numbers{"0", "1", "2", "3", "4", "5", "6", "8", "12", "20", "64", "100", "65535", "1048576"};
    const std::string_view number = numbers[static_cast<std::size_t>(rng.below(numbers.size()))];
    const auto place = frame.erase(begin, number_end);
    frame.insert(place, number.begin(), number.end());
  }

  template <typename S>
  static void check(const CausalTransformer<S>& model, const ModelInfo& info, Choices choices) {
    require(model.config == info.config && model.layout == info.layout, "a model is what its file says");
    require(parameter_count(model) == info.weight_count, "a model has the weights of its file");
    if (!choices.once_in(16)) return;
    static const test::TemporaryFolder folder;
    save_model(model, folder / "again", info.metadata);
    const auto again = load_model<S>(folder / "again");
    const auto ours = parameters_of(model), theirs = parameters_of(again);
    require(ours.size() == theirs.size(), "a model comes back with all weights");
    for (std::size_t i = 0; i < ours.size(); ++i) {
      require(std::ranges::equal(std::as_bytes(ours[i].numbers()), std::as_bytes(theirs[i].numbers())),
              "a model comes back bit for bit");
    }
  }

  static void use(const CausalTransformer<float>& model, Rng rng) {
    const TransformerConfig& config = model.config;
    if (parameter_count(model) > 4096 || config.width > 64 || config.context > 32) return;  // it would act too slowly
    CausalTransformer<float>::Cache cache;
    Matrix<float> outputs = Matrix<float>::Zero(config.context, model.actions.parameter_count());
    std::vector<float> window;
    for (int t = 0; t < config.context; ++t) {
      std::vector<float> row(static_cast<std::size_t>(model.layout.feature_count()));
      model.layout.write(row, any_element(model.layout.observation_space, rng),
                         any_element(model.layout.action_space, rng), 1.0f, 0);
      window.insert(window.end(), row.begin(), row.end());
    }
    model.forward(window, config.context, cache, outputs);
    InContextAgents agents{model, 1};
    live(agents, 3 * config.context + 4, std::max(1, config.context / 2), rng);
  }
};
static_assert(Target<ModelFileTarget>);

}  // namespace icrl::fuzz

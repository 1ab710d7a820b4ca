// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <icrl/history/step_layout.hpp>
#include <icrl/model/transformer_config.hpp>

#include "support/program.hpp"

namespace icrl::bench {

/// What the names of measurements spell out: width d, layers L, heads H, context T in steps.
struct Shape {
  int width = 64, layers = 4, heads = 4, context = 200;

  TransformerConfig config() const {
    return {.width = width, .layer_count = layers, .head_count = heads, .context = context};
  }
  std::string text() const { return fmt::format("d{}_L{}_H{}_T{}", width, layers, heads, context); }
};

inline void add_options(CLI::App& app, Shape& shape) {
  app.add_option("width", shape.width)->required()->check(counts);
  app.add_option("layers", shape.layers)->required()->check(counts);
  app.add_option("heads", shape.heads)->required()->check(counts);
  app.add_option("context", shape.context)->required()->check(counts);
}

}  // namespace icrl::bench

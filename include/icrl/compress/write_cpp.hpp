// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include <icrl/compress/cpp_agent_text.hpp>
#include <icrl/compress/cpp_kernels_text.hpp>
#include <icrl/compress/cpp_model_text.hpp>
#include <icrl/compress/cpp_tables.hpp>
#include <icrl/core/atomic_write.hpp>
#include <icrl/env/decoding.hpp>
#include <icrl/env/space_text.hpp>
#include <icrl/model/context_policy.hpp>
#include <icrl/nn/layer_norm.hpp>

namespace icrl {

/// What the agent of a written header is to be.
struct CppConfig {
  std::string name_space = "policy";  ///< that everything in the header lies in
  Decoding decoding{};                ///< as of an InContextAgent
  int context_count = 2;              ///< see StaggeredContexts; each costs its keys and values in RAM
};

/// A model as one C++ header.
struct CppHeader {
  std::string text;              ///< the whole file
  std::int64_t flash_bytes = 0;  ///< the model's constants, without code
  std::int64_t ram_bytes = 0;    ///< sizeof(Agent)
};

namespace detail {

/// Whether a header may give its namespace this name. Identifiers with two underscores in a row are C++'s own, as are
/// its words, up to C++20, and std.
[[nodiscard]] inline bool is_cpp_name(std::string_view name) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", others = "0123456789_";
  constexpr std::string_view taken =
      " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class "
      "co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype "
      "default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline "
      "int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register "
      "reinterpret_cast requires return short signed sizeof static static_assert static_cast std struct switch "
      "template this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile "
      "wchar_t while xor xor_eq ";
  const auto is_possible = [&](char c) { return letters.find(c) != letters.npos || others.find(c) != others.npos; };
  return !name.empty() && letters.find(name.front()) != letters.npos && std::ranges::all_of(name, is_possible) &&
         name.find("__") == name.npos && taken.find(fmt::format(" {} ", name)) == taken.npos;
}

}  // namespace detail

/// Throws Error naming the first value that makes no agent.
inline void validate(const CppConfig& config, const Int8Transformer& model) {
  if (!detail::is_cpp_name(config.name_space)) {
    fail("write_cpp: name_space is \"{}\", it must be an identifier such as \"policy\", and no word of C++",
         config.name_space);
  }
  validate(config.decoding);
  validate(ContextPolicy{.max_length = model.max_stream_length(),
                         .window_start = model.window_start(),
                         .context_count = config.context_count});
  const StepLayout& layout = model.layout;
  if (!layout.extra_features.empty()) {
    fail("write_cpp: the model reads extra features ({}), which the agent of a header does not know",
         to_string(layout.extra_features));
  }
  if (!has_ids(layout.action_space) && config.decoding.temperature != 0) {
    fail(
        "write_cpp: actions are {}, and drawing numbers at temperature {} takes a math library; write it with "
        "temperature 0",
        to_short_string(layout.action_space), config.decoding.temperature);
  }
}

namespace detail {

/// The sizes that the model's types depend on, and the numbers of a pass.
class CppConstants {
public:
  CppConstants(const Int8Transformer& model, const CppConfig& config) : model_{model}, config_{config} {
    for (const Int8Block& block : model.blocks) {
      widest_ = std::max({widest_, model.config.width + Index{0}, block.qkv.out, block.up.out});
      most_heads_ = std::max(most_heads_, block.head_count);
      head_total_ += block.head_count;
    }
  }

  /// Bytes of the agent; all of its members have whole words.
  [[nodiscard]] std::int64_t ram_bytes() const {
    const TransformerConfig& shape = model_.config;
    const auto whole = [](std::int64_t bytes) { return (bytes + 3) / 4 * 4; };
    const std::int64_t tokens = shape.token_count(), row = model_.layout.feature_count();
    const std::int64_t context = 4 + 8 * head_total_ * tokens + whole(2 * head_total_ * tokens * shape.head_size());
    const std::int64_t rows =
        (keeps_episode() ? shape.context + 1 : 1) + 2;  // of the episode, the first, the closing one
    const std::int64_t pass =
        4 * (model_.actions.parameter_count() + shape.width + widest_ + 3 * most_heads_ + tokens) + whole(widest_);
    return config_.context_count * context + 4 * (rows * row + model_.layout.action_size() + 1) + pass + 4 * 4 + 4;
  }

  /// In front of the types.
  [[nodiscard]] std::string spaces() const {
    const auto number = [](const Space& space) { return has_ids(space) ? "std::int32_t" : "float"; };
    const StepLayout& layout = model_.layout;
    return fmt::format(
        "/// An element of {}.\nusing ObservationNumber = {};\nusing Observation = ObservationNumber[{}];\n"
        "/// An element of {}.\nusing ActionNumber = {};\nusing Action = ActionNumber[{}];\n",
        to_short_string(layout.observation_space), number(layout.observation_space), layout.observation_size(),
        to_short_string(layout.action_space), number(layout.action_space), layout.action_size());
  }

  /// Behind the types.
  [[nodiscard]] std::string text() const {
    const TransformerConfig& shape = model_.config;
    const StepLayout& layout = model_.layout;
    std::string text;
    const auto integer = [&](const char* name, std::int64_t value) {
      text += fmt::format("constexpr std::int32_t {} = {};\n", name, value);
    };
    const auto flag = [&](const char* name, bool value) {
      text += fmt::format("constexpr bool {} = {};\n", name, value);
    };
    const auto real = [&](const char* name, float value) {
      text += fmt::format("constexpr float {} = {};\n", name, cpp_number(value));
    };
    const auto wide_real = [&](const char* name, double value) {
      text += fmt::format("constexpr double {} = {};\n", name, cpp_number(value));
    };
    integer("context_steps", shape.context);
    integer("context_count", config_.context_count);
    integer("tokens_per_step", shape.tokens_per_step());
    integer("layer_count", shape.layer_count);
    integer("width", shape.width);
    integer("head_size", shape.head_size());
    integer("head_total", head_total_);
    integer("most_heads", most_heads_);
    integer("widest", widest_);
    integer("observation_size", layout.observation_size());
    integer("action_size", layout.action_size());
    integer("output_count", model_.actions.parameter_count());
    flag("has_observation_ids", has_ids(layout.observation_space));
    flag("is_observation_whole", is_whole(layout.observation_space));
    flag("has_action_ids", has_ids(layout.action_space));
    flag("has_closing_token", layout.closing_token);
    flag("starts_anywhere", !keeps_episode());
    flag("has_positions", shape.positions == PositionScheme::learned);
    flag("has_rotary", shape.positions == PositionScheme::rotary);
    flag("is_greedy", config_.decoding.temperature == 0);
    wide_real("temperature", config_.decoding.temperature);
    wide_real("min_p", config_.decoding.min_p);
    real("reward_scale", static_cast<float>(shape.reward_scale));
    real("norm_epsilon", LayerNorm<float>::epsilon);
    real("attention_unit", static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(shape.head_size()))));
    append_embedding(integer);
    return text + cpp_bounds(layout.observation_space, "observation_bounds") +
           cpp_bounds(layout.action_space, "action_bounds");
  }

  /// Bytes of the bounds.
  [[nodiscard]] std::int64_t bound_bytes() const {
    return 8 * (model_.layout.observation_size() + model_.layout.action_size());
  }

private:
  [[nodiscard]] bool keeps_episode() const { return model_.window_start() == WindowStart::episode; }

  /// The first row of each part, in the order of Int8Embedding.
  template <typename Add>
  void append_embedding(Add&& add) const {
    const StepLayout& layout = model_.layout;
    std::int64_t next = 0;
    const auto part = [&](const char* name, std::int64_t rows) {
      if (rows > 0) add(name, next);
      next += rows;
    };
    std::int64_t observations = 0, actions = 0;
    for (const int ids : id_counts(layout.observation_space)) observations += ids;
    for (const int ids : id_counts(layout.action_space)) actions += ids + 1;
    part("observation_row", observations);
    part("action_row", actions);
    part("observation_row", observations > 0 ? 0 : layout.observation_size());
    part("action_row", actions > 0 ? 0 : layout.action_size());
    part("reward_row", 1);
    part("flags_row", StepFlag::count);
    part("bias_row", 1);
    add("positions_row", next);
  }

  const Int8Transformer& model_;
  const CppConfig& config_;
  Index widest_ = 0, most_heads_ = 0, head_total_ = 0;
};

}  // namespace detail

/// Writes an integer model as one C++17 header that needs nothing but <cstddef>, <cstdint> and <cstring>: the model's
/// numbers, and an agent that does, bit for bit, what an InContextAgent with this decoding and as many contexts does.
/// It allocates nothing and works on 32-bit targets without exceptions, RTTI or a math library. Throws Error for a
/// configuration that makes no agent, extra features, and actions that are numbers at a temperature above 0.
[[nodiscard]] inline CppHeader to_cpp(const Int8Transformer& model, const CppConfig& config = {}) {
  validate(config, model);
  detail::CppTables tables{model};
  const detail::CppConstants constants{model, config};
  if (constexpr std::int64_t most = 2147483647; tables.byte_count() > most)
    fail("write_cpp: the model has {} bytes of constants, offsets in a header reach {}", tables.byte_count(), most);
  CppHeader header{
      .text = {}, .flash_bytes = tables.byte_count() + constants.bound_bytes(), .ram_bytes = constants.ram_bytes()};
  header.text = fmt::format(
      "// Written by icrl (write_cpp): an agent that learns in context, and its model. C++17, on its own.\n"
      "//   flash  {} bytes of constants, beside the code\n"
      "//   RAM    {} bytes per agent\n"
      "// The outputs and the actions have the same bits on every target.\n"
      "#pragma once\n\n#include <cstddef>\n#include <cstdint>\n#include <cstring>\n\nnamespace {} {{\n\n"
      "constexpr std::size_t flash_bytes = {}, ram_bytes = {};\n\n{}",
      header.flash_bytes, header.ram_bytes, config.name_space, header.flash_bytes, header.ram_bytes,
      constants.spaces());
  header.text += detail::cpp_kernels_text;
  header.text += detail::cpp_types_text;
  header.text += "\nnamespace detail {\n\n" + constants.text() + tables.text() + "\n}  // namespace detail\n";
  header.text += detail::cpp_model_text;
  header.text += detail::cpp_agent_text;
  header.text += fmt::format(
      "\nstatic_assert(sizeof(Agent) == ram_bytes, \"the agent has the size that icrl has reported\");\n"
      "static_assert(sizeof detail::bytes + sizeof detail::halves + sizeof detail::angles + sizeof detail::layers +\n"
      "                      sizeof detail::final_norm + sizeof detail::head + sizeof detail::observation_bounds +\n"
      "                      sizeof detail::action_bounds ==\n"
      "                  flash_bytes,\n"
      "              \"the constants have the size that icrl has reported\");\n\n}}  // namespace {}\n",
      config.name_space);
  return header;
}

/// The same in a file, which is replaced as a whole.
inline CppHeader write_cpp(const Int8Transformer& model, const std::filesystem::path& path,
                           const CppConfig& config = {}) {
  CppHeader header = to_cpp(model, config);
  write_file_atomically(path, std::as_bytes(std::span{header.text}));
  return header;
}

}  // namespace icrl

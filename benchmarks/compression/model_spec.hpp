// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <icrl/core/fail.hpp>

namespace icrl::bench {

/// How one model of a study is made, read from a line such as "small d=16 l=4 updates=12000 mix=0.9 temperature=2".
struct ModelSpec {
  std::string name;
  std::string text;  ///< the whole line

  int width = 64, layers = 4, heads = 4, hidden = 0, context = 200;  // d, l, h, hidden, context
  std::string positions = "learned";                                 ///< or rotary
  int updates = 4500, batch = 32, warmup = 200;
  double rate = 3e-3, final_rate = 0.1;  // learning rate, and the last one as a share of it
  double decay = 0.3;                    ///< of weights
  double mix = 0;                        ///< share of soft labels; 0: labels only, no teacher
  double temperature = 1, beta = 0;
  std::vector<int> keep{};  ///< layers that the model begins with, such as 0,2; of `from` or else of the teacher
  std::string from{};       ///< name of the model that training begins with, whose shape it has but for what is removed
  double kept_heads = 1, kept_neurons = 1;  ///< shares that stay of the model that training begins with
  double on_policy = 0;                     ///< share of windows from the student's own histories
  int round = 250, lives = 256;             // updates and histories of an on-policy round
  double sparsity = 0;                      ///< share of the blocks' weights that is pruned while training
  std::string pattern = "single";           ///< of pruned weights: single, blocks (16 outputs by 1 input), 2:4
  int bits = 0;                             ///< of weights, after training; 0: the model stays in float
  std::string rounding = "gptq";            ///< nearest, searched, gptq or qat (trained for quantization)

  [[nodiscard]] bool wants_teacher() const { return mix > 0 || (!keep.empty() && from.empty()) || on_policy > 0; }
};

namespace detail {

template <typename T>
void read_value(const std::string& text, const std::string& line, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    fail("model \"{}\": \"{}\" is not a number", line, text);
}
inline void read_value(const std::string& text, const std::string&, std::string& value) { value = text; }
inline void read_value(const std::string& text, const std::string& line, std::vector<int>& values) {
  std::istringstream parts{text};
  for (std::string part; std::getline(parts, part, ',');) read_value(part, line, values.emplace_back());
}

}  // namespace detail

/// Throws Error for a line that names no model, or a key or number that makes no sense.
[[nodiscard]] inline ModelSpec parse_model(const std::string& line) {
  ModelSpec spec{.name = {}, .text = line};
  using Target = std::variant<int*, double*, std::string*, std::vector<int>*>;
  const std::pair<std::string_view, Target> keys[] = {{"d", &spec.width},
                                                      {"l", &spec.layers},
                                                      {"h", &spec.heads},
                                                      {"hidden", &spec.hidden},
                                                      {"context", &spec.context},
                                                      {"positions", &spec.positions},
                                                      {"updates", &spec.updates},
                                                      {"batch", &spec.batch},
                                                      {"warmup", &spec.warmup},
                                                      {"rate", &spec.rate},
                                                      {"final_rate", &spec.final_rate},
                                                      {"decay", &spec.decay},
                                                      {"mix", &spec.mix},
                                                      {"temperature", &spec.temperature},
                                                      {"beta", &spec.beta},
                                                      {"keep", &spec.keep},
                                                      {"from", &spec.from},
                                                      {"kept_heads", &spec.kept_heads},
                                                      {"kept_neurons", &spec.kept_neurons},
                                                      {"sparsity", &spec.sparsity},
                                                      {"pattern", &spec.pattern},
                                                      {"bits", &spec.bits},
                                                      {"rounding", &spec.rounding},
                                                      {"on_policy", &spec.on_policy},
                                                      {"round", &spec.round},
                                                      {"lives", &spec.lives}};
  std::istringstream words{line};
  words >> spec.name;
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (spec.name.empty() || spec.name.find_first_not_of(plain) != spec.name.npos)
    fail("model \"{}\": it begins with a name of letters, digits, - and _", line);
  for (std::string word; words >> word;) {
    const std::size_t at = word.find('=');
    const auto found =
        std::ranges::find(keys, std::string_view{word}.substr(0, at), &std::pair<std::string_view, Target>::first);
    if (at == word.npos || found == std::end(keys)) {
      std::string known;
      for (const auto& [key, target] : keys) known += fmt::format("{}{}", known.empty() ? "" : ", ", key);
      fail("model \"{}\": \"{}\" is none of the settings {}", line, word, known);
    }
    std::visit([&](auto* target) { detail::read_value(word.substr(at + 1), line, *target); }, found->second);
  }
  const auto expect_one_of = [&](const char* key, const std::string& value,
                                 std::initializer_list<std::string_view> known) {
    if (std::ranges::find(known, value) == known.end())
      fail("model \"{}\": {} is \"{}\", there are {}", line, key, value, joined(known, ", "));
  };
  expect_one_of("positions", spec.positions, {"learned", "rotary"});
  expect_one_of("pattern", spec.pattern, {"single", "blocks", "2:4"});
  expect_one_of("rounding", spec.rounding, {"nearest", "searched", "gptq", "qat"});
  if (spec.updates == 0 && spec.from.empty() && spec.keep.empty())
    fail("model \"{}\": without updates it needs from or keep", line);
  // What would do nothing is refused: the model's name would promise it.
  if ((spec.kept_heads != 1 || spec.kept_neurons != 1) && spec.keep.empty() && spec.from.empty())
    fail("model \"{}\": kept_heads and kept_neurons need a model to begin with, from or keep", line);
  const bool is_trained_for_bits = spec.bits != 0 && spec.rounding == "qat";
  if (spec.sparsity != 0 && (spec.updates == 0 || spec.on_policy > 0 || is_trained_for_bits))
    fail("model \"{}\": sparsity needs updates, and neither on_policy nor rounding=qat", line);
  if (spec.sparsity != 0 && spec.bits != 0 && (spec.bits == 2 || spec.rounding == "gptq"))
    fail("model \"{}\": sparsity would be lost in 2 bits and by rounding=gptq (take nearest or searched)", line);
  if (spec.on_policy > 0 && is_trained_for_bits)
    fail("model \"{}\": on_policy and rounding=qat exclude each other", line);
  return spec;
}

}  // namespace icrl::bench

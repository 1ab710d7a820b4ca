// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// How much quicker compressed linear maps are than a dense one in float, on one thread, with weights in the cache: int8
// (W8A8), float that skips blocks of 16 outputs by 1 input, float 2:4, and int8 that skips blocks of 16 outputs by 4
// inputs. All maps of a line take turns; a figure is the median of the ratios of neighboring turns. Maps of int8
// quantize their inputs, too.
//
//   compression_kernels [--sparsity 0.75] [--level avx2] [--seconds 0.5] [--rows 1 2 8] [--shapes 512x128 ...]
//
// Floats are multiplied by the instruction set that the program is compiled for, integers by `--level`: compile for
// -march=x86-64-v3 to compare with AVX2. Pin it to one core: taskset -c 1 compression_kernels.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include <icrl/compress/block_sparse_linear.hpp>
#include <icrl/compress/int8_linear.hpp>
#include <icrl/compress/pruning.hpp>
#include <icrl/compress/two_four_linear.hpp>

#include "support/measurement.hpp"
#include "support/program.hpp"

using namespace icrl;

namespace {

#if defined(__AVX512F__)
constexpr std::string_view float_set = "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
constexpr std::string_view float_set = "AVX2";
#else
constexpr std::string_view float_set = "the target's base";
#endif

/// Of the instruction set that floats are compiled for, where this CPU has it.
CpuLevel default_level() {
  return float_set == "AVX2" && is_available(CpuLevel::avx2) ? CpuLevel::avx2 : best_cpu_level();
}

CpuLevel level_of(const std::string& name) {
  if (name.empty()) return default_level();
  std::vector<std::string> names;
  for (const CpuLevel level : available_cpu_levels()) {
    if (to_string(level) == name) return level;
    names.emplace_back(to_string(level));
  }
  fail("level \"{}\": this CPU has {}", name, joined(names, ", "));
}

struct Shape {
  Index in, out;
};

Shape shape_of(const std::string& text) {
  Shape shape{};
  const char *const end = text.data() + text.size(), *const by = std::find(text.data(), end, 'x');
  const bool is_read = std::from_chars(text.data(), by, shape.in).ptr == by && by != end &&
                       std::from_chars(by + 1, end, shape.out).ptr == end;
  if (!is_read || shape.in < 1 || shape.out < 1) fail("shape \"{}\": give inputs x outputs, e.g. 512x128", text);
  return shape;
}

Linear<float> random_map(const Shape& shape, const PruneConfig& pruning) {
  Linear<float> map{shape.in, shape.out};
  Rng rng{1};
  map.initialize(0.05, rng);
  (void)prune(map, pruning);
  return map;
}

/// An integer map with its memory, which reads and writes floats.
struct FloatsThroughInt8 {
  Int8Linear map;
  CpuLevel level;
  std::vector<std::uint8_t> codes{};
  std::vector<float> scales{};

  FloatsThroughInt8(const Linear<float>& from, CpuLevel with)
      : map{nearest_int8(from.weight, "map"), from.bias, "map"}, level{with} {}

  void forward(MatrixIn<float> x, MatrixOut<float> y) {
    detail::with_int8_kernels(level, [&](auto kernels) {
      const Index stride = detail::whole_words(map.in);
      codes.resize(static_cast<std::size_t>(x.rows() * stride), 128);
      scales.resize(static_cast<std::size_t>(x.rows()));
      for (Index r = 0; r < x.rows(); ++r)
        scales[static_cast<std::size_t>(r)] = kernels.quantize(row_data(x, r), map.in, 128, codes.data() + r * stride);
      kernels.multiply(map.view(), {codes.data(), stride, scales.data(), x.rows()}, false, y.data(), y.outerStride());
    });
  }
};

struct Settings {
  double sparsity = 0.75, seconds = 0.5;
  std::string level;
  std::vector<Index> rows{1, 2, 8};
  std::vector<std::string> shapes{"512x128", "128x512", "256x256", "64x256", "256x64", "64x192", "192x64"};
};

/// One line of the table.
std::string compare(const Settings& settings, const std::string& name, Index rows) {
  const Shape shape = shape_of(name);
  const auto pruned = [&](PruneScope scope, double sparsity, int outputs, int inputs) {
    return random_map(shape, {.sparsity = sparsity,
                              .scope = scope,
                              .block_outputs = outputs,
                              .block_inputs = inputs,
                              .weights = {"weight"}});
  };
  const CpuLevel level = level_of(settings.level);
  const Linear<float> dense = pruned(PruneScope::map, 0, 1, 1);
  FloatsThroughInt8 int8{dense, level};
  const BlockSparseLinear blocks{pruned(PruneScope::output, settings.sparsity, 16, 1)};
  const TwoFourLinear two_four{pruned(PruneScope::group, 0.5, 1, 1)};
  FloatsThroughInt8 int8_blocks{pruned(PruneScope::output, settings.sparsity, 16, 4), level};

  Matrix<float> x(rows, shape.in), y(rows, shape.out);
  Rng rng{2};
  fill_normal(x, 1, rng);
  NoMemory none;
  const int repeat = static_cast<int>(std::max<Index>(4, 400000 / (shape.in * shape.out * rows)));
  const auto seconds_for = [&](auto&& forward) {
    return bench::seconds_of([&] {
      for (int i = 0; i < repeat; ++i) forward();
    });
  };
  std::vector<double> times, ratios[4], against_int8;
  for (const double end = bench::now_seconds() + settings.seconds; times.size() < 5 || bench::now_seconds() < end;) {
    const double reference = seconds_for([&] { dense.forward(x, y); });
    const double others[] = {seconds_for([&] { int8.forward(x, y); }), seconds_for([&] { blocks.forward(x, none, y); }),
                             seconds_for([&] { two_four.forward(x, none, y); }),
                             seconds_for([&] { int8_blocks.forward(x, y); })};
    times.push_back(reference / repeat);
    for (std::size_t i = 0; i < 4; ++i) ratios[i].push_back(reference / others[i]);
    against_int8.push_back(others[0] / others[3]);
  }
  std::string line = fmt::format("| {} | {} | {:.2f} |", name, rows, 1e6 * bench::quantile(times, 0.5));
  for (const auto& of_map : ratios) line += fmt::format(" {:.2f} |", bench::quantile(of_map, 0.5));
  return line + fmt::format(" {:.2f} |", bench::quantile(against_int8, 0.5));
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"Compressed linear maps beside a dense one in float"};
  app.add_option("--sparsity", settings.sparsity, "share of blocks without weights")->check(CLI::Range(0.0, 1.0));
  app.add_option("--level", settings.level, "of integers; by default the one that floats are compiled for");
  app.add_option("--seconds", settings.seconds, "per line")->check(bench::durations);
  app.add_option("--rows", settings.rows)->check(bench::counts);
  app.add_option("--shapes", settings.shapes, "inputs x outputs");
  return bench::run_program(app, argc, argv, [&] {
    fmt::print("Floats: {}. Integers: {}. Blocks without weights: {:.0f} %.\n\n", float_set,
               to_string(level_of(settings.level)), 100 * settings.sparsity);
    fmt::print("| in x out | rows | float, µs | W8A8 | 16 x 1 | 2:4 | int8 16 x 4 | int8 16 x 4 / W8A8 |\n");
    fmt::print("|---|---|---|---|---|---|---|---|\n");
    for (const std::string& shape : settings.shapes)
      for (const Index rows : settings.rows) fmt::print("{}\n", compare(settings, shape, rows));
  });
}

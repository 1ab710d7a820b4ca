// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
// Tokens a second of whole training steps: windows sampled from recorded histories, forward, loss at every position,
// backward, clip, AdamW. One token is one environment step.
//
//   train_benchmark WIDTH LAYERS HEADS CONTEXT BATCH [--threads 2] [--seconds 5] [--products automatic] [--attention]
//
// Details: how much of the step is the sampling of windows, and, with --attention, the microseconds that attention,
// its two linear maps included, takes of one thread for a token in all layers, forward and backward.
#include <map>
#include <string>

#include "support/measurement.hpp"
#include "support/program.hpp"
#include "support/shape.hpp"
#include "support/training.hpp"

using namespace icrl;

namespace {

/// FLOPs of one token's forward and backward pass: 6 a weight of the blocks' and the head's matrices, and causal
/// attention.
double flop_per_token(const bench::Shape& shape, int output_size) {
  const double d = shape.width, L = shape.layers, T = shape.context;
  return 6 * (12 * L * d * d + d * output_size) + 6 * L * d * T;
}

/// Seconds of one thread for the windows of one step.
double sampling_seconds(const WindowSampler& sampler, int batch) {
  ContextBatch windows;
  Rng rng{1};
  return bench::quantile(bench::time_calls(0.05, [&] { sampler.sample(batch, rng.fork(rng.bits()), windows); }), 0.5);
}

/// Seconds of one thread for one window in all layers.
double attention_seconds(const bench::Model& model, Products products, double seconds) {
  using Attention = CausalAttention<float>;
  const Attention& attention = model.blocks[0].attention;
  const Index tokens = model.config.token_count(), width = model.config.width;
  Attention gradient = attention;
  const Matrix<float> x = Matrix<float>::Random(tokens, width), dy = Matrix<float>::Random(tokens, width);
  Matrix<float> y = Matrix<float>::Zero(tokens, width), dx(tokens, width);
  Attention::Cache cache;
  Attention::Scratch scratch;
  const auto plain = [&] {
    y.setZero();
    attention.add_forward(x, model.rotary, cache, scratch, y);
    attention.backward(x, dy, model.rotary, cache, scratch, gradient, dx);
  };
  Bf16Attention bf16{attention};
  Bf16Linear::PackScratch packing;
  bf16.pack(packing);
  Bf16Attention::Cache bf16_cache;
  Bf16Attention::Scratch bf16_scratch;
  const auto rounded = [&] {
    y.setZero();
    bf16.reserve(tokens, bf16_cache, bf16_scratch);
    detail::for_each_row_block(tokens, [&](Index first, Index count) {
      round_both(x.middleRows(first, count), first, bf16_scratch.rows, bf16_cache.x_pairs);
      bf16.take_input(model.rotary, first, count, bf16_cache, bf16_scratch);
    });
    bf16.add_forward(bf16_cache, bf16_scratch, y);
    bf16.begin_backward(dy, bf16_cache, bf16_scratch, gradient);
    detail::for_each_row_block(
        tokens, [&](Index first, Index count) { bf16.backward(model.rotary, first, count, bf16_scratch, gradient); });
    bf16.end_backward(tokens, bf16_cache, bf16_scratch, gradient);
  };
  const auto times =
      products == Products::bfloat16 ? bench::time_calls(seconds, rounded) : bench::time_calls(seconds, plain);
  return model.config.layer_count * bench::quantile(times, 0.5);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Shape shape;
  int batch = 64, threads = 2;
  double seconds = 5;
  bool with_attention = false;
  Products products = Products::automatic;
  CLI::App app{"Measures training in tokens a second"};
  bench::add_options(app, shape);
  app.add_option("batch", batch, "sequences an update")->required()->check(bench::counts);
  app.add_option("--threads", threads)->check(bench::counts);
  app.add_option("--seconds", seconds)->check(bench::durations);
  app.add_option("--products", products)
      ->transform(CLI::Transformer(std::map<std::string, Products>{
          {"automatic", Products::automatic}, {"full", Products::full}, {"bfloat16", Products::bfloat16}}));
  app.add_flag("--attention", with_attention, "measure attention alone as well");

  return bench::run_program(app, argc, argv, [&] {
    const auto histories = bench::record_histories(bench::episodes_for(shape.context));
    bench::Training training{shape, bench::views_of(histories), batch, threads, products};
    const double step = bench::quantile(bench::time_calls(seconds, [&] { training.trainer.step(); }), 0.5);

    const double tokens = static_cast<double>(batch) * shape.context;
    const double flop = flop_per_token(shape, training.model.actions.parameter_count());
    const char* const prefix = products == Products::full ? "extra_full_" : "";
    bench::Figure figure{.name = fmt::format("{}train_{}_B{}", prefix, shape.text(), batch),
                         .value = tokens / step,
                         .unit = "tokens/s",
                         .details = {{"gflop_per_s", tokens / step * flop / 1e9},
                                     {"mflop_per_token", flop / 1e6},
                                     {"threads", threads},
                                     {"sampling_share", sampling_seconds(training.sampler, batch) / (threads * step)}}};
    if (with_attention)
      figure.details.push_back(
          {"attention_us",
           1e6 * attention_seconds(training.model, training.trainer.config().products, seconds) / shape.context});
    bench::print(figure);
  });
}

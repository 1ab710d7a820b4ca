// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/compress/int8_transformer.hpp>

#include <cstring>
#include <limits>
#include <vector>

#include <icrl/agent/in_context_agents.hpp>
#include <icrl/compress/pruning.hpp>
#include <icrl/compress/to_int8.hpp>
#include <icrl/io/model_file.hpp>

#include "support/alloc_counter.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/quantized_maps.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/small_model.hpp"
#include "support/temporary_folder.hpp"
#include "support/text_file.hpp"
#include "support/transformer_schemes.hpp"

using namespace icrl;
using namespace icrl::test;

static_assert(Streaming<Int8Transformer> && !Trainable<Int8Transformer>);
static_assert(LoadableModel<Int8Transformer>);

namespace {

/// The outputs of a model after each of the steps of one stream.
template <typename M>
std::vector<float> outputs_of(const M& model, std::span<const float> features) {
  const auto size = static_cast<std::size_t>(model.layout.feature_count());
  auto states = model.make_states(1);
  typename M::StreamWorkspace workspace;
  Matrix<float> outputs(1, model.actions.parameter_count());
  std::vector<float> all;
  for (std::size_t t = 0; t < features.size() / size; ++t) {
    const StreamInput<typename M::State> input{&states[0], features.data() + t * size};
    model.step({&input, 1}, workspace, outputs);
    all.insert(all.end(), outputs.data(), outputs.data() + outputs.size());
  }
  return all;
}

bool have_one_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    total += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / total);
}

/// The integer models of all schemes, ids and numbers, with and without extra features, with 40 rows each.
template <typename Visit>
void for_each_scheme(Visit&& visit) {
  StepLayout with_extra_features = number_layout();
  with_extra_features.extra_features = {{"far", 1}, {"near", 3}};
  for (const StepLayout& layout : {grid_layout(), number_layout(), with_extra_features}) {
    for (const TransformerConfig& config : all_schemes(40)) {
      Rng rng{7};
      CausalTransformer<float> model{config, layout};
      model.initialize(rng);
      visit(model, random_features(layout, 40, rng));
    }
  }
}

}  // namespace

TEST_CASE("An integer model says what the float model says", "[compress]") {
  for_each_scheme([](const CausalTransformer<float>& model, const std::vector<float>& features) {
    CHECK(relative_difference(outputs_of(to_int8(model), features), outputs_of(model, features)) < 0.03);
  });
}

TEST_CASE("All levels of a CPU give an integer model the same bits", "[compress]") {
  for_each_scheme([](const CausalTransformer<float>& model, const std::vector<float>& features) {
    Int8Transformer quantized = to_int8(model);
    quantized.level = CpuLevel::scalar;
    const std::vector<float> scalar = outputs_of(quantized, features);
    for (const CpuLevel level : available_cpu_levels()) {
      quantized.level = level;
      CHECK(have_one_bits(outputs_of(quantized, features), scalar));
    }
  });
}

TEST_CASE("A stream of an integer model does not depend on others, nor on whether they want outputs", "[compress]") {
  for_each_scheme([](const CausalTransformer<float>& model, const std::vector<float>& features) {
    const Int8Transformer quantized = to_int8(model);
    const auto size = static_cast<std::size_t>(model.layout.feature_count());
    const Index parameters = quantized.actions.parameter_count();
    constexpr std::size_t streams = 7, steps = 20;
    auto states = quantized.make_states(streams);
    Int8Transformer::StreamWorkspace workspace;
    Matrix<float> outputs(streams, parameters);
    std::vector<std::vector<float>> together(streams);
    // Stream i begins i steps later, and with row i.
    for (std::size_t t = 0; t < steps + streams; ++t) {
      std::vector<StreamInput<Int8Cache>> inputs;
      std::vector<std::size_t> who;
      for (std::size_t i = 0; i < streams; ++i) {
        if (t < i || t >= i + steps) continue;
        inputs.push_back({&states[i], features.data() + t * size, (t + i) % 3 != 0});
        who.push_back(i);
      }
      outputs.setConstant(-7);
      quantized.step(inputs, workspace, outputs);
      for (std::size_t k = 0; k < who.size(); ++k) {
        const float* const row = &outputs(static_cast<Index>(k), 0);
        if (inputs[k].wants_output) {
          together[who[k]].insert(together[who[k]].end(), row, row + parameters);
        } else {
          CHECK(row[0] == -7);
        }
      }
    }
    for (std::size_t i = 0; i < streams; ++i) {
      const std::vector<float> alone = outputs_of(quantized, std::span{features}.subspan(i * size, steps * size));
      std::vector<float> wanted;
      for (std::size_t t = 0; t < steps; ++t) {
        const auto begin = alone.begin() + static_cast<Index>(t) * parameters;
        if ((t + 2 * i) % 3 != 0) wanted.insert(wanted.end(), begin, begin + parameters);
      }
      CHECK(have_one_bits(together[i], wanted));
    }
  });
}

TEST_CASE("An integer model's step allocates nothing", "[compress]") {
  SKIP_UNLESS_AVAILABLE(AllocationCount);
  const Int8Transformer model = to_int8(small_model(small_config(30), id_layout()));
  Rng rng{1};
  const std::vector<float> features = random_features(model.layout, 1, rng);
  auto states = model.make_states(3);
  Int8Transformer::StreamWorkspace workspace;
  Matrix<float> outputs(3, model.actions.parameter_count());
  std::vector<StreamInput<Int8Cache>> inputs;
  for (Int8Cache& state : states) inputs.push_back({&state, features.data()});
  model.reserve(workspace, 3);
  const AllocationCount allocations;

  for (int t = 0; t < 30; ++t) model.step(std::span{inputs}.first(t % 2 == 0 ? 3 : 1), workspace, outputs);

  CHECK(allocations.count() == 0);
}

TEST_CASE("Integer models of all widths are saved and loaded with their bits", "[compress][io]") {
  const TemporaryFolder folder;
  Rng rng{3};
  for (const int bits : {8, 4, 3, 2}) {
    const CausalTransformer<float> model = small_model(small_config(12), id_layout());
    const Int8Transformer saved = to_int8(model, random_maps(model, bits, 5, rng));
    const std::vector<float> features = random_features(model.layout, 12, rng);

    save_model(saved, folder / "model");
    const auto loaded = load_model<Int8Transformer>(folder / "model");

    CHECK(have_one_bits(outputs_of(loaded, features), outputs_of(saved, features)));
    CHECK(loaded.config == saved.config);
    CHECK(loaded.config.weight_bits == bits);
    CHECK(fingerprint(loaded) == fingerprint(saved));
    CHECK(has(describe(loaded), fmt::format("weights of {} bits", bits)));
    const auto info = read_model_info<Int8Transformer>(folder / "model");
    CHECK(info.weight_count == Int8Transformer::weight_count(saved.config, saved.layout));
  }
}

TEST_CASE("An integer model skips the blocks that were pruned, also one of a file", "[compress][io]") {
  const TemporaryFolder folder;
  CausalTransformer<float> model{{.width = 64, .layer_count = 2, .head_count = 4, .hidden = 128, .context = 12},
                                 id_layout()};
  Rng rng{4};
  model.initialize(rng);
  (void)prune(model, {.sparsity = 0.75, .scope = PruneScope::output, .block_outputs = 16, .block_inputs = 4});
  const std::vector<float> features = random_features(model.layout, 12, rng);

  const Int8Transformer pruned = to_int8(model);
  save_model(pruned, folder / "model");
  const auto loaded = load_model<Int8Transformer>(folder / "model");

  for (const Int8Transformer* each : {&pruned, &loaded})
    for (const Int8Block& block : each->blocks)
      for (const Int8Linear* map : {&block.qkv, &block.output, &block.up, &block.down}) CHECK(map->is_sparse());
  CHECK(have_one_bits(outputs_of(loaded, features), outputs_of(pruned, features)));
  CHECK(relative_difference(outputs_of(pruned, features), outputs_of(model, features)) < 0.03);
}

TEST_CASE("An integer model file with numbers outside their ranges is refused", "[compress][io]") {
  const TemporaryFolder folder;
  Rng rng{4};
  const auto error_with = [&](auto spoil) {
    const CausalTransformer<float> model = small_model(small_config(12), id_layout());
    Int8Transformer quantized = to_int8(model, random_maps(model, 4, 8, rng));
    spoil(quantized);
    save_model(quantized, folder / "model");
    return error_of([&] { (void)load_model<Int8Transformer>(folder / "model"); });
  };

  CHECK(error_with([](Int8Transformer&) {}).empty());
  CHECK(has(error_with([](Int8Transformer& m) { m.head.weight(3, 1) = -128; }), "head: code 10 is -128"));
  CHECK(has(error_with([](Int8Transformer& m) { m.blocks[1].up.scale(2) = Eigen::half(-1024.0f); }),
            "blocks.1.mlp.up: scale 2 is -1"));
  CHECK(has(error_with([](Int8Transformer& m) { m.blocks[0].qkv.group_scale[0](0, 1) = 0x10; }),
            "blocks.0.attention.qkv: group scale 1 is 0, outside 1 .. 15"));
  CHECK(has(error_with([](Int8Transformer& m) { m.embedding.rows(0, 1) = -128; }), "embedding: code 1 is -128"));
  CHECK(has(error_with([](Int8Transformer& m) { m.embedding.scale(1) = Eigen::half(-512.0f); }),
            "embedding: scale 1 is -0.5"));
  CHECK(has(error_with([](Int8Transformer& m) {
              m.final_norm.gain(1) = Eigen::half(std::numeric_limits<float>::quiet_NaN());
            }),
            "final_norm: number 1 is nan"));
}

TEST_CASE("An integer model file without one of its tensors is refused by the tensor's name", "[compress][io]") {
  const TemporaryFolder folder;
  Rng rng{4};
  save_model(to_int8(small_model(small_config(12), id_layout()), {}), folder / "model");
  std::vector<char> bytes = read_bytes(folder / "model");
  constexpr std::string_view name = "final_norm.gain";
  const auto place = std::search(bytes.begin(), bytes.end(), name.begin(), name.end());
  REQUIRE(place != bytes.end());
  place[static_cast<std::ptrdiff_t>(name.size()) - 1] = 'm';
  write_bytes(folder / "model", with_right_checksum(bytes));

  const std::string error = error_of([&] { (void)load_model<Int8Transformer>(folder / "model"); });

  CHECK(has(error, "final_norm.gain is missing"));
  CHECK(has(error, (folder / "model").string()));
}

TEST_CASE("A forged integer model file is an Error or a model, never a crash", "[compress][io]") {
  const TemporaryFolder folder;
  Rng rng{5};
  const CausalTransformer<float> model =
      small_model({.width = 4, .layer_count = 1, .head_count = 1, .hidden = 4, .context = 3}, id_layout());
  save_model(to_int8(model, random_maps(model, 4, 2, rng)), folder / "model");
  const std::vector<char> bytes = read_bytes(folder / "model");
  int models = 0, errors = 0;
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += 5) {
    write_bytes(folder / "forged", with_right_checksum(with_flipped_bit(bytes, bit)));
    const bool is_refused = !error_of([&] { (void)load_model<Int8Transformer>(folder / "forged"); }).empty();
    ++(is_refused ? errors : models);
  }
  CHECK(models > 0);
  CHECK(errors > 0);
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    write_bytes(folder / "cut", std::span{bytes}.first(size));
    CHECK_FALSE(error_of([&] { (void)load_model<Int8Transformer>(folder / "cut"); }).empty());
  }
}

TEST_CASE("Agents act with an integer model, alone as in a group, and remember it in files", "[compress][agent]") {
  const TemporaryFolder folder;
  const Int8Transformer model = to_int8(small_model(small_config(9), id_layout(true)));
  const auto life = fake_life(model.layout, 60, 4, 2);
  constexpr int members = 3;
  InContextAgents<Int8Transformer> group{model, members}, alone{model, 1}, restored{model, members};
  std::vector<Rng> rngs, restored_rngs, alone_rng{Rng{0, 1}};
  for (std::uint64_t i = 0; i < members; ++i) rngs.emplace_back(0, i);
  const std::vector<int> all{0, 1, 2}, one{0};
  std::vector<float> actions(members), restored_actions(members), action(1);
  for (std::size_t t = 0; t < life.size(); ++t) {
    std::vector<float> observations;
    for (int i = 0; i < members; ++i)
      observations.insert(observations.end(), life[t].observation.begin(), life[t].observation.end());
    group.act({.members = all, .observations = observations, .masks = {}}, actions, rngs);
    alone.act({.members = one, .observations = life[t].observation, .masks = {}}, action, alone_rng);
    CHECK(action[0] == actions[1]);
    CHECK(std::memcmp(alone.outputs(0).data(), group.outputs(1).data(), alone.outputs(0).size_bytes()) == 0);
    if (t > life.size() / 2) {
      restored.act({.members = all, .observations = observations, .masks = {}}, restored_actions, restored_rngs);
      CHECK(restored_actions == actions);
    }
    const Transition transition{.observation = life[t].observation,
                                .action = life[t].action,
                                .reward = life[t].reward,
                                .next_observation = life[t].next_observation,
                                .truncated = life[t].is_last};
    for (int i = 0; i < members; ++i) group.learn(i, transition);
    alone.learn(0, transition);
    if (t > life.size() / 2)
      for (int i = 0; i < members; ++i) restored.learn(i, transition);
    if (t == life.size() / 2) {
      group.save(folder / "memory");
      restored.restore(folder / "memory");
      restored_rngs = rngs;
    }
  }
}

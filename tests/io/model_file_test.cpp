// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#include <icrl/io/model_file.hpp>

#include <icrl/model/mixture_transformer.hpp>

#include "support/catch.hpp"
#include "support/decimal_comma.hpp"
#include "support/histories.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/small_model.hpp"
#include "support/special_numbers.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_model.hpp"

using namespace icrl;
using namespace icrl::test;

namespace {

/// As small as a model can be.
TransformerConfig tiny_config() {
  return {.width = 2, .layer_count = 1, .head_count = 1, .hidden = 1, .context = 2, .reward_scale = 0.5};
}
StepLayout tiny_layout() { return {.observation_space = Discrete{2}, .action_space = Discrete{2}}; }

template <typename M>
bool equal_bits(const M& a, const M& b) {
  const auto x = weights_of(a), y = weights_of(b);
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof x[0]) == 0;
}

struct ModelFileFixture {
  TemporaryFolder folder;
  std::filesystem::path path = folder / "a.safetensors";
  std::filesystem::path original =
      folder / "original";  // of a file that is changed: Windows replaces none that is open

  std::string load_error() {
    return error_of([&] { (void)load_model<float>(path); });
  }
  std::string error_of_bytes(const std::vector<char>& bytes) {
    write_bytes(path, bytes);
    return load_error();
  }
  /// Writes a model's file again with some of its metadata replaced, and a right checksum.
  template <typename M>
  std::string error_with(const M& model, const char* key, const std::string& value) {
    save_model(model, original);
    const SafetensorsFile file{original};
    Metadata metadata = file.metadata();
    metadata[key] = value;
    const std::vector<TensorView> tensors{file.tensors().begin(), file.tensors().end()};
    write_safetensors(path, tensors, metadata);
    return load_error();
  }
};

/// The same once for each scalar.
template <typename S>
struct ModelFileOf : ModelFileFixture {};

}  // namespace

TEST_CASE_METHOD(ModelFileFixture, "A model comes back bit for bit, with all that belongs to it", "[io]") {
  for (const StepLayout& layout : {id_layout(true), box_layout(false)}) {
    for (const PositionScheme positions : {PositionScheme::learned, PositionScheme::rotary}) {
      for (const TokenScheme tokens : {TokenScheme::fused, TokenScheme::separate}) {
        TransformerConfig config = small_config(5);
        config.positions = positions;
        config.tokens = tokens;
        config.window_start = WindowStart::anywhere;
        config.reward_scale = 0.1;
        const auto model = small_model(config, layout);
        const auto exact = small_model<double>(config, layout);

        save_model(model, path);
        const auto loaded = load_model<float>(path);
        save_model(exact, folder / "exact");

        CHECK(loaded.config == config);
        CHECK(loaded.layout == layout);
        CHECK(equal_bits(loaded, model));
        CHECK(equal_bits(load_model<double>(folder / "exact"), exact));
        CHECK(CausalTransformer<float>::weight_count(config, layout) == parameter_count(model));
      }
    }
  }
}

TEST_CASE_METHOD(ModelFileFixture, "A model of one precision is read into the other", "[io]") {
  const auto model = small_model<float>(small_config(4), id_layout());

  save_model(model, path);
  const auto wide = load_model<double>(path);
  save_model(wide, folder / "wide");

  CHECK(equal_bits(load_model<float>(folder / "wide"), model));
}

TEMPLATE_TEST_CASE_METHOD(ModelFileOf, "Weights are read from any byte of a file", "[io]", float, double) {
  const auto model = small_model<TestType>(small_config(4), id_layout());
  save_model(model, this->path);
  const auto aligned = read_bytes(this->path);
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, aligned.data(), sizeof header_size);

  for (std::size_t spaces = 0; spaces < 8; ++spaces) {
    std::vector<char> bytes = aligned;
    bytes.insert(bytes.begin() + 8 + static_cast<std::ptrdiff_t>(header_size), spaces, ' ');
    const std::uint64_t filled_up = header_size + spaces;
    std::memcpy(bytes.data(), &filled_up, sizeof filled_up);
    write_bytes(this->path, with_right_checksum(bytes));
    CAPTURE(spaces);
    CHECK(equal_bits(load_model<TestType>(this->path), model));
  }
}

TEST_CASE_METHOD(ModelFileFixture, "A loaded model says what the saved one says", "[io]") {
  const StepLayout layout = id_layout();
  const auto model = small_model(small_config(4), layout);
  save_model(model, path);
  const auto loaded = load_model<float>(path);
  std::vector<float> row(static_cast<std::size_t>(layout.feature_count()));
  layout.write(row, std::vector<float>{1, 2}, std::vector<float>{0}, 1.0f, StepFlag::episode_start);
  const auto outputs_of = [&](const auto& m) {
    typename CausalTransformer<float>::Cache cache;
    Matrix<float> outputs(1, 3);
    m.forward(row, 1, cache, outputs);
    return outputs;
  };

  CHECK(outputs_of(loaded) == outputs_of(model));
}

TEST_CASE_METHOD(ModelFileFixture, "A model file tells what is in it without the model being made", "[io]") {
  const auto model = small_model(small_config(4), id_layout(true));

  save_model(model, path, {{"trained on", "rooms"}});
  const ModelInfo info = read_model_info(path);

  CHECK(info.format_version == 1);
  CHECK(info.config == model.config);
  CHECK(info.layout == model.layout);
  CHECK(info.weight_count == parameter_count(model));
  CHECK(info.metadata == Metadata{{"trained on", "rooms"}});
  CHECK(has(error_of([&] {
              save_model(model, path, {{"icrl.note", "x"}});
            }),
            "the metadata's key icrl.note is reserved"));
}

TEST_CASE_METHOD(ModelFileFixture, "Saving the same model twice gives the same bytes, whatever the country", "[io]") {
  const auto model = small_model(tiny_config(), tiny_layout());
  save_model(model, path);
  const auto before = read_bytes(path);

  const DecimalComma comma;
  save_model(model, path);

  CHECK(read_bytes(path) == before);
  CHECK(load_model<float>(path).config.reward_scale == 0.5);
}

TEST_CASE_METHOD(ModelFileFixture, "Newer versions and other kinds are refused by name", "[io]") {
  const auto model = small_model(tiny_config(), tiny_layout());

  CHECK(has(error_with(model, "icrl.format_version", "2"),
            "a.safetensors\": format version 2, this build reads up to 1 (was it written by a newer icrl?)"));
  CHECK(has(error_with(model, "icrl.format_version", "1x"), "format version \"1x\" is not a valid version number"));
  CHECK(has(error_with(model, "icrl.format_version", "99999999999"), "is not a valid version number"));
  CHECK(has(error_with(model, "icrl.model", "tree"), "holds a tree, not a causal_transformer"));
  CHECK(has(error_with(model, "icrl.mood", "good"), "unknown key icrl.mood"));
  write_safetensors(path, {}, {});
  CHECK(has(load_error(), "its metadata has no icrl.model (was it written by icrl?)"));
}

TEST_CASE_METHOD(ModelFileFixture, "A file without a checksum is no model file", "[io]") {
  save_model(small_model(tiny_config(), tiny_layout()), path);
  const auto bytes = read_bytes(path);
  std::string text{bytes.begin(), bytes.end()};
  text.replace(text.find("icrl.checksum"), 13, "just.checksum");

  CHECK(has(error_of_bytes({text.begin(), text.end()}), "has no checksum"));
}

TEST_CASE_METHOD(ModelFileFixture, "Weights that are not the configuration's are named with both shapes and a guess",
                 "[io]") {
  const auto model = small_model(small_config(4), id_layout());
  const auto error = [&](auto change) {
    TransformerConfig config = model.config;
    change(config);
    return error_with(model, "icrl.config", json_text(config).text());
  };

  CHECK(has(error([](auto& c) { c.width = 32; }),
            "embedding.observation_tables.0 is 4x16, the configuration needs 4x32 (trained with width 16?)"));
  CHECK(has(error([](auto& c) { c.hidden = 40; }),
            "blocks.0.mlp.up.weight is 16x64, the configuration needs 16x40 (trained with hidden 64?)"));
  CHECK(has(error([](auto& c) { c.context = 7; }),
            "embedding.positions is 4x16, the configuration needs 7x16 (trained with context 4?)"));
  CHECK(has(error([](auto& c) { c.layer_count = 3; }),
            "blocks.2.attention_norm.gain is missing, the configuration needs 16"));
  CHECK(has(error([](auto& c) { c.layer_count = 1; }), "is not a weight of the configuration (layers 1,"));
  const StepLayout other{.observation_space = MultiDiscrete{{4, 5}}, .action_space = Discrete{4}};
  CHECK(has(error_with(model, "icrl.layout", json_text(other).text()),
            "embedding.action_tables.0 is 4x16, the configuration needs 5x16"));
}

TEST_CASE_METHOD(ModelFileFixture, "A configuration cannot ask for memory that its file does not fill", "[io]") {
  const auto model = small_model(small_config(4), id_layout());
  TransformerConfig huge = model.config;
  huge.width = 8192;
  huge.layer_count = 256;
  huge.hidden = 65536;

  CHECK(has(error_with(model, "icrl.config", json_text(huge).text()), "weights, the configuration needs 343"));
  huge = model.config;
  huge.context = 1 << 20;
  huge.positions = PositionScheme::rotary;
  huge.width = 8192;
  CHECK(has(error_with(model, "icrl.config", json_text(huge).text()), "rotary positions of 1048576 tokens"));
}

TEST_CASE_METHOD(ModelFileFixture, "Weights that are not finite are neither saved nor loaded", "[io]") {
  auto model = small_model(tiny_config(), tiny_layout());
  save_model(model, path);
  auto wide = load_model<double>(path);
  wide.blocks[0].feed_forward.down.bias[1] = 1e300;
  save_model(wide, path);

  CHECK(has(load_error(), "blocks.0.mlp.down.bias: number 1 is 1e+300, which is too large for a float of 32 bits"));
  model.head.weight(1, 0) = std::numeric_limits<float>::quiet_NaN();
  CHECK(
      has(error_of([&] { save_model(model, folder / "bad"); }), "not written because of head.weight: number 2 is nan"));
  CHECK_FALSE(std::filesystem::exists(folder / "bad"));

  model.head.weight(1, 0) = 1234.5f;
  save_model(model, path);
  const auto bytes = read_bytes(path);
  std::string text{bytes.begin(), bytes.end()};
  const float number = 1234.5f;
  text.replace(text.find(std::string{reinterpret_cast<const char*>(&number), 4}), 4,
               reinterpret_cast<const char*>(&infinity), 4);
  CHECK(has(error_of_bytes(with_right_checksum({text.begin(), text.end()})), "head.weight: number 2 is inf"));
}

TEST_CASE_METHOD(ModelFileFixture, "A model file cut at any byte or with any bit flipped is an Error", "[io]") {
  save_model(small_model(tiny_config(), tiny_layout()), path);
  const auto bytes = read_bytes(path);
  REQUIRE(load_error().empty());

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    REQUIRE_FALSE(error_of_bytes({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}).empty());
  }
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    CAPTURE(bit);
    REQUIRE_FALSE(error_of_bytes(with_flipped_bit(bytes, bit)).empty());
  }
}

TEST_CASE_METHOD(ModelFileFixture, "A forged file with a right checksum is an Error or a model, never a crash",
                 "[io]") {
  save_model(small_model(tiny_config(), tiny_layout()), path);
  const auto bytes = read_bytes(path);
  int loaded = 0, refused = 0;

  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const bool is_refused = !error_of_bytes(with_right_checksum(with_flipped_bit(bytes, bit))).empty();
    ++(is_refused ? refused : loaded);
  }

  CHECK(loaded > 0);
  CHECK(refused > loaded);
}

TEST_CASE_METHOD(ModelFileFixture, "Any model that lists its fields and tensors is saved and loaded", "[io]") {
  Rng rng{3};
  TraceModel<float> model{{.context = 5, .decay = 0.25}, box_layout()};
  model.initialize(rng);

  save_model(model, path, {{"note", "x"}});
  const auto loaded = load_model<TraceModel<float>>(path);
  const auto wide = load_model<TraceModel<double>>(path);
  const auto info = read_model_info<TraceModel<float>>(path);

  CHECK(loaded.config == model.config);
  CHECK(loaded.layout == model.layout);
  CHECK(equal_bits(loaded, model));
  CHECK(wide.weight.cast<float>() == model.weight);
  CHECK(info.config == model.config);
  CHECK(info.weight_count == parameter_count(model));
  CHECK(info.metadata == Metadata{{"note", "x"}});
  CHECK(read_model_kind(path) == "trace");
}

TEST_CASE_METHOD(ModelFileFixture, "A file of one kind of model is not read into another", "[io]") {
  save_model(TraceModel<float>{{}, box_layout()}, path);
  CHECK(has(load_error(), "a.safetensors\": holds a trace, not a causal_transformer"));

  save_model(small_model(tiny_config(), tiny_layout()), path);
  CHECK(has(error_of([&] { (void)load_model<TraceModel<float>>(path); }), "holds a causal_transformer, not a trace"));
  CHECK(read_model_kind(path) == "causal_transformer");
}

TEST_CASE_METHOD(ModelFileFixture, "Tensors keep their own element types", "[io]") {
  Int8Model model{{}, box_layout()};
  for (Index i = 0; i < model.weight.size(); ++i) model.weight.data()[i] = static_cast<std::int8_t>(37 * i);
  model.scale[1] = 0.125f;

  save_model(model, path);
  const auto loaded = load_model<Int8Model>(path);

  CHECK(loaded.weight == model.weight);
  CHECK(loaded.scale == model.scale);
  CHECK(read_model_info<Int8Model>(path).weight_count == model.weight.size() + model.scale.size());
  const SafetensorsFile file{path};
  REQUIRE(file.tensors().size() == 2);
  for (const TensorView& tensor : file.tensors()) CHECK(tensor.dtype == (tensor.name == "weight" ? "I8" : "F32"));

  model.scale[2] = infinity;
  CHECK(has(error_of([&] { save_model(model, path); }), "not written because of scale: number 2 is inf"));
}

TEST_CASE_METHOD(ModelFileFixture, "An element type that a model does not take is named with the one it wants",
                 "[io]") {
  const auto error_with_types = [&](const auto& model, const char* from, const char* to, auto load) {
    save_model(model, original);
    const SafetensorsFile file{original};
    std::vector<TensorView> tensors{file.tensors().begin(), file.tensors().end()};
    std::vector<std::byte> zeros(1 << 12);
    for (TensorView& tensor : tensors) {
      if (tensor.dtype != from) continue;
      const auto bytes = tensor.bytes.size() * static_cast<std::size_t>(dtype_bits(to) / 8) /
                         static_cast<std::size_t>(dtype_bits(from) / 8);
      tensor.dtype = to;
      tensor.bytes = std::span<const std::byte>{zeros}.first(bytes);
    }
    write_safetensors(path, tensors, file.metadata());
    return error_of(load);
  };
  const Int8Model coded{{}, box_layout()};
  const auto load_coded = [&] { (void)load_model<Int8Model>(path); };

  CHECK(has(error_with_types(coded, "I8", "F32", load_coded), "weight is F32, the model needs I8"));
  CHECK(has(error_with_types(coded, "F32", "F16", load_coded), "scale is F16, the model needs F32 or F64"));
  CHECK(has(error_with_types(small_model(tiny_config(), tiny_layout()), "F32", "BF16",
                             [&] { (void)load_model<float>(path); }),
            " is BF16, the model needs F32 or F64"));
}

TEST_CASE_METHOD(ModelFileFixture, "The likely reason is the one number that makes all weights fit", "[io]") {
  const auto model = small_model(small_config(4), id_layout());
  const auto error = [&](auto change) {
    TransformerConfig config = model.config;
    change(config);
    return error_with(model, "icrl.config", json_text(config).text());
  };

  CHECK(has(error([](auto& c) { c.layer_count = 3; }), "the configuration needs 16 (trained with layer_count 2?)"));
  CHECK(has(
      error([](auto& c) { c.layer_count = 1; }),
      "blocks.1.attention.output.bias is not a weight of the configuration (layers 1, trained with layer_count 2?)"));
  CHECK_FALSE(has(error([](auto& c) {
                    c.layer_count = 3;
                    c.context = 5;
                  }),
                  "trained with"));
  const StepLayout other{.observation_space = MultiDiscrete{{4, 6}}, .action_space = Discrete{3}};
  CHECK_FALSE(has(error_with(model, "icrl.layout", json_text(other).text()), "trained with"));
}

TEST_CASE_METHOD(ModelFileFixture, "A file can say what observations and actions mean", "[io]") {
  const auto model = small_model(small_config(4), box_layout());
  const SpaceLabels labels{.observations = {{.name = "x", .unit = "m"}, {.name = "y", .unit = "m", .scale = 2}}};

  save_model(model, path, {{"note", "x"}}, labels);
  const ModelInfo info = read_model_info(path);

  CHECK(info.labels == labels);
  CHECK(info.metadata == Metadata{{"note", "x"}});
  CHECK(equal_bits(load_model<float>(path), model));
  CHECK(has(error_of([&] { save_model(model, path, {}, {.actions = {{.name = "force"}}}); }),
            "a.safetensors\": 1 label(s) for actions, but box([-2, -2], [2, 2]) has 2 components"));
  CHECK(has(error_with(model, "icrl.spaces", R"({"actions":[],"observations":[{"name":"x","scale":1,"unit":""}]})"),
            "a.safetensors\": 1 label(s) for observations, but box([-1, -1], [1, 1]) has 2 components"));
  CHECK(has(error_with(model, "icrl.spaces", "[]"), "icrl.spaces: should be a JSON object"));
  save_model(model, path);
  CHECK(read_model_info(path).labels.empty());
  CHECK_FALSE(SafetensorsFile{path}.metadata().contains("icrl.spaces"));
}

TEST_CASE_METHOD(ModelFileFixture, "A mixture of experts comes back bit for bit, and its file says what it holds",
                 "[io]") {
  const MixtureTransformerConfig config{
      small_config(5),
      {.expert_count = 4, .experts_per_token = 1, .balance_weight = 0.5, .z_weight = 0.25, .capacity_factor = 1.5}};
  MixtureTransformer<float> model{config, id_layout()};
  Rng rng{1};
  model.initialize(rng);

  save_model(model, path);
  const auto loaded = load_model<MixtureTransformer<float>>(path);

  CHECK(loaded.config == config);
  CHECK(loaded.blocks[0].feed_forward.config == static_cast<const MixtureConfig&>(config));
  CHECK(equal_bits(loaded, model));
  CHECK(fingerprint(loaded) == fingerprint(model));
  CHECK(read_model_kind(path) == "mixture_of_experts_transformer");
  CHECK(read_model_info<MixtureTransformer<float>>(path).config == config);
  CHECK(has(load_error(), "holds a mixture_of_experts_transformer, not a causal_transformer"));
  save_model(small_model(small_config(5), id_layout()), folder / "dense");
  CHECK(has(error_of([&] { (void)load_model<MixtureTransformer<float>>(folder / "dense"); }),
            "holds a causal_transformer, not a mixture_of_experts_transformer"));
}

TEST_CASE_METHOD(ModelFileFixture, "A mixture's file whose tensors are not its configuration's is refused", "[io]") {
  const MixtureTransformerConfig config{small_config(5), {.expert_count = 4}};
  MixtureTransformer<float> model{config, id_layout()};
  const auto refusal = [&](auto change) {
    MixtureTransformerConfig other = config;
    change(other);
    save_model(model, original);
    Metadata metadata;
    {
      const SafetensorsFile file{original};
      metadata = file.metadata();
      metadata["icrl.config"] = json_text(other).text();
      const std::vector<TensorView> tensors{file.tensors().begin(), file.tensors().end()};
      write_safetensors(path, tensors, metadata);
    }
    return error_of([&] { (void)load_model<MixtureTransformer<float>>(path); });
  };

  CHECK(refusal([](auto&) {}).empty());
  CHECK(has(refusal([](auto& c) { c.expert_count = 3; }), "trained with expert_count 4?"));
  CHECK(has(refusal([](auto& c) { c.hidden = 7; }), "trained with hidden 64?"));
  CHECK(has(refusal([](auto& c) { c.expert_count = 256; }), "expert_count 4?"));
  CHECK(has(refusal([](auto& c) { c.experts_per_token = 5; }), "it can be at most expert_count = 4"));
  CHECK(has(refusal([](auto& c) { c.expert_count = 257; }), "it must lie in 1 .. 256"));
}

TEST_CASE_METHOD(ModelFileFixture, "A mixture's file that is cut, flipped or forged is an Error or a model", "[io]") {
  const MixtureTransformerConfig config{tiny_config(), {.expert_count = 2, .experts_per_token = 1}};
  MixtureTransformer<float> model{config, tiny_layout()};
  Rng rng{1};
  model.initialize(rng);
  save_model(model, path);
  const auto whole = read_bytes(path);
  const auto is_refused = [&](const std::vector<char>& bytes) {
    write_bytes(path, bytes);
    return !error_of([&] { (void)load_model<MixtureTransformer<float>>(path); }).empty();
  };
  REQUIRE_FALSE(is_refused(whole));
  int loaded = 0, refused = 0;

  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    REQUIRE(is_refused({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}));
  }
  for (std::size_t bit = 0; bit < 8 * whole.size(); bit += 11) {
    CAPTURE(bit);
    const auto flipped = with_flipped_bit(whole, bit);
    REQUIRE(is_refused(flipped));
    ++(is_refused(with_right_checksum(flipped)) ? refused : loaded);
  }

  CHECK(loaded > 0);
  CHECK(refused > loaded);
}

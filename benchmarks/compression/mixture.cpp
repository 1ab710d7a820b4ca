// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// One model for four families of tasks that share their spaces: Dark Room, Dark Room with one reward per episode,
// Key-to-Door, and Key-to-Door with permuted actions, all 9 x 9. A dense transformer is compared with a mixture of
// experts of the same active size (k experts of a k-th of the hidden width), after equally many updates on the same
// windows.
//
//   mixture [--seed 1] [--updates 9000] [--experts 8] [--experts-per-token 2] [--out out/mixture] [--quick]
//
// Appends one line of JSON per model to OUT/mixture.jsonl. An interrupted run goes on where it was: models that are
// trained are loaded, and lines that are there are not made again.
#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include <icrl/agent/in_context_agent.hpp>
#include <icrl/core/checksum.hpp>
#include <icrl/env/key_to_door.hpp>
#include <icrl/io/model_file.hpp>
#include <icrl/learner/key_to_door_explorer.hpp>
#include <icrl/model/mixture_transformer.hpp>

#include "support/dark_room_recipes.hpp"
#include "support/measurement.hpp"
#include "support/output.hpp"
#include "support/processor.hpp"
#include "support/program.hpp"

using namespace icrl;

namespace {

constexpr int context = 200;  // rows: ten episodes in a Dark Room, four of Key-to-Door

struct Settings {
  int seed = 1;
  int updates = 9000;
  int width = 64, layers = 4;
  int experts = 8, experts_per_token = 2;
  double balance_weight = 0.03, z_weight = 0.001, capacity_factor = 0;  // at 0.01 the load was uneven
  int threads = 0;
  std::filesystem::path out = "out/mixture";
  bool quick = false;

  [[nodiscard]] std::uint64_t seed_bits() const { return static_cast<std::uint64_t>(seed); }
  [[nodiscard]] DistilConfig distil(const std::string& name) const {
    return {.updates = quick ? 4 : updates,
            .batch = quick ? 8 : 32,
            .warmup = quick ? 2 : std::min(200, updates / 2),
            .weight_decay = 0.3,
            .ema_decay = quick ? 0 : 0.99,
            .evaluate_every = 0,
            .checkpoint_every = 300,
            .checkpoint = out / (name + ".checkpoint"),
            .products = Products::full,  // the mixture has no others
            .thread_count = threads,
            .seed = seed_bits()};
  }
};

/// What a family has its models learn from, and where they are judged.
struct Family {
  std::string name;
  std::variant<DarkRooms, KeyToDoorRooms> rooms;
  double share;           ///< of the windows
  double highest_return;  ///< of an episode: what NAUC is a share of; 0 = the oracle's
  double temperature;
  int runs;  ///< on every held-out task
  TaskSplit split;
  std::vector<LearningHistory> training, validation;
};

Family dark_room(bool reward_once, const Settings& settings) {
  const DarkRooms rooms{{.reward_once = reward_once}};
  example::Recipe recipe = example::systematic_explorer_recipe();
  if (settings.quick) recipe = example::quick_recipe(recipe);
  TaskSplit split =
      split_tasks(rooms.task_count(), {.train = 57, .validation = 8, .held_out = 16, .seed = settings.seed_bits()});
  auto training = example::record(recipe, rooms, split.train, settings.seed_bits(), settings.threads).histories;
  recipe.images = example::Images::none;
  auto validation = example::record(recipe, rooms, split.validation, settings.seed_bits(), settings.threads).histories;
  return {.name = reward_once ? "reward_once_dark_room" : "dark_room",
          .rooms = rooms,
          .share = 0.15,
          .highest_return = 0,
          .temperature = recipe.decoding.temperature,
          .runs = settings.quick ? 1 : 16,
          .split = std::move(split),
          .training = std::move(training),
          .validation = std::move(validation)};
}

/// The recipe of example 080.
Family key_to_door(bool is_permuted, const Settings& settings) {
  const KeyToDoorRooms rooms{{.permuted_actions = is_permuted}};
  TaskSplit split = split_tasks(rooms.task_count(), {.train = settings.quick ? 8
                                                              : is_permuted  ? 8000
                                                                             : 1000,
                                                     .validation = settings.quick ? 8 : 64,
                                                     .held_out = settings.quick ? 4 : 64,
                                                     .seed = settings.seed_bits()});
  const auto record = [&](std::span<const int> tasks) {
    example::ProgressBar bar{"recording"};
    const CollectConfig config{.histories_per_task = 1,
                               .episodes = 14,
                               .seed = settings.seed_bits(),
                               .thread_count = settings.threads,
                               .algorithm = "key-to-door explorer",
                               .with_expert_action = true};
    const NoisyLearnerConfig noise{.max_noise = 0.3};
    if (is_permuted) {
      return collect_with_images(
                 rooms, tasks,
                 [&](int, const KeyToDoor& room, Rng& rng) {
                   return NoisyLearner{PermutedKeyToDoorExplorer{room.options().side}, room.action_space(), noise, rng};
                 },
                 config, bar.counter())
          .histories;
    }
    return collect_with_images(
               rooms, tasks,
               [&](int, const KeyToDoor& room, Rng& rng) {
                 return NoisyLearner{KeyToDoorExplorer{GridMoves{room.options().side}}, room.action_space(), noise,
                                     rng};
               },
               config, bar.counter())
        .histories;
  };
  auto training = record(split.train), validation = record(split.validation);
  return {.name = is_permuted ? "permuted_key_to_door" : "key_to_door",
          .rooms = rooms,
          .share = is_permuted ? 0.5 : 0.2,  // permuted actions are learned late
          .highest_return = 2,
          .temperature = 0.5,
          .runs = settings.quick ? 1 : 4,
          .split = std::move(split),
          .training = std::move(training),
          .validation = std::move(validation)};
}

using Families = std::array<Family, 4>;

/// A sampler takes each of its histories equally often. So that families have their shares, it gets theirs several
/// times.
WindowSampler windows_of(const Families& families, std::vector<LearningHistory> Family::*histories,
                         const StepLayout& layout) {
  std::size_t most = 0;
  for (const Family& family : families) most = std::max(most, (family.*histories).size());
  std::vector<HistoryView> views;
  for (const Family& family : families) {
    const auto count = static_cast<std::size_t>(4 * family.share * static_cast<double>(most));
    for (std::size_t i = 0; i < count; ++i) views.push_back((family.*histories)[i % (family.*histories).size()].view());
  }
  return {std::move(views), layout, {.context = context, .history_start_fraction = 0.5, .use_expert_action = true}};
}

/// Mean loss per label over windows of one family's validation tasks.
template <typename M>
double validation_loss(const M& model, const Family& family, const Settings& settings) {
  std::vector<HistoryView> views;
  for (const LearningHistory& history : family.validation) views.push_back(history.view());
  const WindowSampler sampler{
      views, model.layout, {.context = context, .history_start_fraction = 0.5, .use_expert_action = true}};
  ContextBatch batch;
  sampler.sample(settings.quick ? 4 : 256, Rng{settings.seed_bits(), 1}, batch);
  const ActionCrossEntropy objective;
  typename M::Cache cache;
  ActionCrossEntropy::Scratch scratch;
  Matrix<float> outputs(context, model.actions.parameter_count()), doutputs = outputs;
  double loss = 0, labels = 0;
  for (int window = 0; window < batch.sequence_count; ++window) {
    const int steps = batch.lengths[static_cast<std::size_t>(window)];
    model.forward(batch.features_of(window), steps, cache, outputs.topRows(steps));
    loss += objective.loss(model, batch, window, outputs.topRows(steps), doutputs.topRows(steps), scratch);
    for (const float weight : batch.weights_of(window)) labels += static_cast<double>(weight);
  }
  return loss / labels;
}

/// The mean return over the episodes as a share of the highest, with the interval that the held-out tasks leave.
template <typename M>
Estimate nauc(const M& model, const Family& family, const Settings& settings) {
  const EvaluationConfig config{.runs = family.runs,
                                .episodes = settings.quick ? 5 : 100,
                                .seed = settings.seed_bits(),
                                .thread_count = settings.threads};
  return std::visit(
      [&](const auto& rooms) {
        example::ProgressBar bar{"acting in " + family.name};
        const LearningCurves curves =
            evaluate(model, rooms, family.split.held_out, config, {.temperature = family.temperature}, bar.counter());
        ReferenceReturns references = reference_returns(rooms, family.split.held_out);
        if (family.highest_return > 0) std::ranges::fill(references.oracle, family.highest_return);
        return estimate_share_of_oracle(curves, references, 1, config.episodes);
      },
      family.rooms);
}

/// Seconds of some hundred steps of an agent that never stops.
template <typename M>
class ActionTimer {
public:
  ActionTimer(const M& model, const KeyToDoorRooms& rooms)
      : agent_{model, {.temperature = 0.5}}, room_{rooms.make(7)}, observation_(2), next_(2), action_(1) {
    room_.reset(rng_);
    room_.observe(observation_);
    for (int i = 0; i < 5; ++i) (void)seconds();
  }
  static constexpr int steps = 400;

  double seconds() {
    double total = 0;
    for (int i = 0; i < steps; ++i) {
      total += bench::seconds_of([&] { agent_.act(observation_, action_, rng_); });
      const StepResult result = room_.step(static_cast<int>(action_[0]), rng_);
      room_.observe(next_);
      total += bench::seconds_of([&] {
        agent_.learn({observation_, action_, result.reward, next_, result.terminated, result.truncated});
      });
      if (result.terminated || result.truncated) room_.reset(rng_);
      room_.observe(observation_);
    }
    return total;
  }

private:
  InContextAgent<M> agent_;
  KeyToDoor room_;
  Rng rng_{5};
  std::vector<float> observation_, next_, action_;
};

/// The model of the file if there is one, or else trained now.
template <typename M>
M trained(M model, const std::string& name, const WindowSampler& sampler, const Settings& settings) {
  const auto path = settings.out / (name + ".safetensors");
  const DistilConfig config = settings.distil(name);
  const std::string recipe = describe(config) + "; " + sampler.describe();
  if (std::filesystem::exists(path)) {
    M found = load_model<M>(path);
    const Metadata metadata = read_model_info<M>(path).metadata;
    if (describe(found) != describe(model) || !metadata.contains("recipe") || metadata.at("recipe") != recipe)
      fail("{}: was trained with other settings; remove it or choose another --out", path.string());
    return found;
  }
  Rng rng{settings.seed_bits()};
  model.initialize(rng);
  bench::TrainingProgress observer{.bar = example::ProgressBar{"training " + name},
                                   .updates = static_cast<std::size_t>(config.updates)};
  const DistilResult result = distil(model, sampler, config, observer);
  save_model(model, path, {{"recipe", recipe}, {"train_seconds", fmt::format("{}", result.train_seconds)}});
  example::forget_checkpoint(settings.out, name);
  return model;
}

/// The lines that the file holds already.
std::vector<Json> lines_of(const std::filesystem::path& path) {
  std::vector<Json> lines;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);)
    lines.push_back(parse_json(line, fmt::format("{}: line {}", path.string(), lines.size() + 1)));
  return lines;
}

/// What is known of the load of a mixture's experts; nothing of a dense model.
Json load_of(const CausalTransformer<float>&, const ContextBatch&) { return nullptr; }
Json load_of(const MixtureTransformer<float>& model, const ContextBatch& batch) {
  Json shares = Json::array(), variation = Json::array();
  for (const ExpertLoad& load : expert_loads(model, batch)) {
    shares.push_back(load.shares());
    variation.push_back(load.coefficient_of_variation());
  }
  return {{"shares_by_layer", shares}, {"coefficient_of_variation_by_layer", variation}};
}

/// Appends the model's line, unless it is there.
template <typename M>
void report(const M& model, const std::string& kind, double us_per_action, double us_ratio, const Families& families,
            const Settings& settings) {
  const auto path = settings.out / "mixture.jsonl";
  const std::string print = fingerprint(model);
  for (const Json& line : lines_of(path))
    if (line.value("fingerprint", "") == print && line.value("quick", false) == settings.quick) return;

  const WindowSampler sampler = windows_of(families, &Family::validation, model.layout);
  ContextBatch batch;
  sampler.sample(settings.quick ? 4 : 512, Rng{settings.seed_bits(), 2}, batch);
  const auto file = settings.out / fmt::format("{}_{}.safetensors", kind, settings.seed);
  const Metadata metadata = read_model_info<M>(file).metadata;
  Json line{{"model", kind},
            {"seed", settings.seed},
            {"quick", settings.quick},
            {"fingerprint", print},
            {"recipe", metadata.at("recipe")},
            {"weights", parameter_count(model)},
            {"bytes", std::filesystem::file_size(file)},
            {"train_seconds", std::stod(metadata.at("train_seconds"))},
            {"us_per_action", us_per_action},
            {"us_per_action_by_dense", us_ratio},
            {"expert_load", load_of(model, batch)},
            {"cpu", bench::processor_name()}};
  double mean_loss = 0;
  for (const Family& family : families) {
    const double loss = validation_loss(model, family, settings);
    const Estimate area = nauc(model, family, settings);
    mean_loss += loss / static_cast<double>(families.size());
    line["validation_loss"][family.name] = loss;
    line["nauc"][family.name] = {{"value", area.value}, {"low", area.interval.low}, {"high", area.interval.high}};
  }
  line["mean_validation_loss"] = mean_loss;
  const std::string text = line.dump();
  std::ofstream out{path, std::ios::app};
  if (!(out << text << std::endl)) fail("{}: cannot be written", path.string());
  fmt::print("{}\n", text);
}

void compare(const Settings& settings) {
  std::filesystem::create_directories(settings.out);
  const Families families{dark_room(false, settings), dark_room(true, settings), key_to_door(false, settings),
                          key_to_door(true, settings)};
  const KeyToDoorRooms& rooms = std::get<KeyToDoorRooms>(families.back().rooms);
  const StepLayout layout{.observation_space = rooms.make(0).observation_space(),
                          .action_space = rooms.make(0).action_space()};
  const WindowSampler sampler = windows_of(families, &Family::training, layout);
  const TransformerConfig shape{.width = settings.width, .layer_count = settings.layers, .context = context};
  MixtureTransformerConfig sparse{shape,
                                  {.expert_count = settings.experts,
                                   .experts_per_token = settings.experts_per_token,
                                   .balance_weight = settings.balance_weight,
                                   .z_weight = settings.z_weight,
                                   .capacity_factor = settings.capacity_factor}};
  if (shape.hidden_size() % settings.experts_per_token != 0)
    fail("mixture: {} experts per token cannot share a hidden width of {}", settings.experts_per_token,
         shape.hidden_size());
  sparse.hidden = shape.hidden_size() / settings.experts_per_token;

  const auto dense =
      trained(CausalTransformer<float>{shape, layout}, fmt::format("dense_{}", settings.seed), sampler, settings);
  const auto mixture =
      trained(MixtureTransformer<float>{sparse, layout}, fmt::format("mixture_{}", settings.seed), sampler, settings);
  ActionTimer dense_timer{dense, rooms};
  ActionTimer mixture_timer{mixture, rooms};
  const auto [dense_seconds, mixture_seconds] = bench::time_in_turns(
      settings.quick ? 0.1 : 20, [&] { return dense_timer.seconds(); }, [&] { return mixture_timer.seconds(); });
  const auto microseconds = [](double seconds) { return 1e6 * seconds / ActionTimer<CausalTransformer<float>>::steps; };
  report(dense, "dense", microseconds(dense_seconds), 1, families, settings);
  report(mixture, "mixture", microseconds(mixture_seconds), mixture_seconds / dense_seconds, families, settings);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"A dense transformer and a mixture of experts on four families of tasks"};
  app.add_option("--seed", settings.seed)->check(bench::counts);
  app.add_option("--updates", settings.updates)->check(bench::counts);
  app.add_option("--width", settings.width)->check(bench::counts);
  app.add_option("--layers", settings.layers)->check(bench::counts);
  app.add_option("--experts", settings.experts)->check(bench::counts);
  app.add_option("--experts-per-token", settings.experts_per_token)->check(bench::counts);
  app.add_option("--balance", settings.balance_weight, "weight of the load-balance loss");
  app.add_option("--z-loss", settings.z_weight, "weight of the router z-loss");
  app.add_option("--capacity", settings.capacity_factor, "capacity factor in training, 0 = any load");
  app.add_option("--threads", settings.threads, "0 = all cores");
  app.add_option("--out", settings.out, "folder of models and mixture.jsonl");
  app.add_flag("--quick", settings.quick, "everything happens, nothing is learned");
  return bench::run_program(app, argc, argv, [&] { compare(settings); });
}

// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Numbers instead of ids: a point on a plane looks for a hidden disc. The source searches the plane where it has not
// been; some of its moves are replaced by random ones, and the model learns what it intended. The same pieces as in the
// Dark Room do the rest; the model's head is a Gaussian because the action space is a Box.
#include <cstdio>

#include <icrl/env/dark_plane.hpp>
#include <icrl/eval/comparison.hpp>
#include <icrl/eval/csv.hpp>
#include <icrl/eval/evaluate.hpp>
#include <icrl/eval/svg.hpp>
#include <icrl/eval/terminal.hpp>
#include <icrl/learner/collect.hpp>
#include <icrl/learner/dark_plane_explorer.hpp>
#include <icrl/learner/noisy_learner.hpp>
#include <icrl/model/causal_transformer.hpp>
#include <icrl/train/distil.hpp>

#include "support/json_summary.hpp"
#include "support/progress.hpp"

using namespace icrl;

namespace {

struct Settings {
  int source_episodes = 8;  ///< a window of 180 steps holds six
  int updates = 600;
  double temperature = 0.6;
};

/// A source that sweeps the plane, whose noise is drawn once per history.
auto explorer_maker(const DarkPlaneOptions& options) {
  return [options, sweeps = plan_plane_sweeps(options)](int, const DarkPlane& plane, Rng& rng) {
    return NoisyLearner{DarkPlaneExplorer{options, sweeps}, plane.action_space(), {.max_noise = 0.3}, rng};
  };
}

}  // namespace

int main(int argc, char** argv) {
  example::Program program{"In-context learning with continuous observations and actions", "out/070_dark_plane"};
  Settings settings;
  int seed_count = 1;
  program.add("--seeds", seed_count, "seeds, from --seed on; each has its own held-out targets", 1, 1000);
  program.add("--updates", settings.updates, "updates of training", 1, 1000000);
  program.add("--temperature", settings.temperature, "of decoding: multiplies the deviation", 0, 100);

  return program.run(argc, argv, [&](const example::Options& options) {
    if (options.quick) settings.updates = 4;
    const int episodes = 50;
    std::vector<LearningCurves> agents, sources;
    ReferenceReturns references;
    Json runs = Json::array();
    for (int number = 0; number < seed_count; ++number) {
      const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(number);
      const DarkPlanes planes{{.seed = seed}};
      const auto make_explorer = explorer_maker(planes.options());
      const TaskSplit split =
          split_tasks(planes.task_count(), {.train = options.quick ? 16 : 900, .held_out = 32, .seed = seed});

      const auto histories = collect(planes, split.train, make_explorer,
                                     {.histories_per_task = 5,
                                      .episodes = settings.source_episodes,
                                      .seed = seed,
                                      .thread_count = options.threads,
                                      .algorithm = "explorer",
                                      .with_expert_action = true});
      std::vector<HistoryView> views;
      for (const LearningHistory& history : histories) views.push_back(history.view());
      const StepLayout layout{.observation_space = views[0].info().observation_space,
                              .action_space = views[0].info().action_space};
      const WindowSampler sampler{views, layout, {.context = 180, .use_expert_action = true}};
      CausalTransformer<float> model{{.context = 180}, layout};
      Rng rng{seed};
      model.initialize(rng);

      example::ProgressBar bar{"distilling"};
      struct Observer {
        example::ProgressBar& bar;
        int updates;
        void on_update(const DistilMetrics& metrics) {
          bar.show(static_cast<std::size_t>(metrics.update), static_cast<std::size_t>(updates),
                   fmt::format("loss {:.3f}, {:.0f} tokens/s", metrics.loss, metrics.tokens_per_second));
        }
      } observer{bar, settings.updates};
      const DistilResult trained = distil(model, sampler,
                                          {.updates = settings.updates,
                                           .batch = 32,
                                           .warmup = settings.updates / 10,
                                           .weight_decay = 0.1,
                                           .ema_decay = 0.99,
                                           .thread_count = options.threads,
                                           .seed = seed},
                                          observer);
      bar.clear();

      const LearningCurves curves =
          evaluate(model, planes, split.held_out,
                   {.runs = options.quick ? 1 : 8, .episodes = episodes, .seed = seed, .thread_count = options.threads},
                   {.temperature = settings.temperature});
      const ReferenceReturns own = reference_returns(planes, split.held_out);
      references.oracle.insert(references.oracle.end(), own.oracle.begin(), own.oracle.end());
      references.random.insert(references.random.end(), own.random.begin(), own.random.end());
      agents.push_back(curves);
      sources.push_back(evaluate_learner(
          make_explorer, planes, split.held_out,
          {.runs = 4, .episodes = settings.source_episodes, .seed = seed, .thread_count = options.threads}));
      const auto share = [&](int first, int last) { return share_of_oracle(curves, own, first, last); };
      fmt::print(
          "seed {}: {:.1f} M tokens in {:.0f} s, {:.0f} tokens/s; random {:.1f} % of the oracle; episode 1 {:.1f} %, "
          "10 {:.1f} %, last ten {:.1f} %\n",
          seed, static_cast<double>(trained.tokens) / 1e6, trained.train_seconds, trained.tokens_per_second,
          100 * mean(own.random) / mean(own.oracle), 100 * share(1, 1), 100 * share(10, 10),
          100 * share(episodes - 9, episodes));
      std::fflush(stdout);
      runs.push_back({{"seed", seed},
                      {"tokens", trained.tokens},
                      {"train_seconds", trained.train_seconds},
                      {"tokens_per_second", trained.tokens_per_second},
                      {"oracle_return", mean(own.oracle)},
                      {"random_return", mean(own.random)},
                      {"return_by_episode", curves.mean_by_episode()},
                      {"held_out_tasks", split.held_out},
                      {"share_last_ten", share(episodes - 9, episodes)}});
    }

    LearningCurves all = agents[0], source = sources[0];
    for (std::size_t i = 1; i < agents.size(); ++i) {
      all = joined(all, agents[i]);
      source = joined(source, sources[i]);
    }
    const double oracle = mean(references.oracle);
    const BootstrapConfig bootstrap{.clusters = seed_count};  // the targets of one seed share a model
    const Estimate first = estimate_mean(all.mean_by_task(1, 1), bootstrap),
                   last = estimate_mean(all.mean_by_task(episodes - 9, episodes), bootstrap);

    Plot plot{.title = fmt::format("A frozen transformer finds hidden discs: {} new targets", all.task_count()),
              .y_label = "return of an episode (mean, 95 % interval)"};
    plot.series = {
        plot_series("distilled from the explorer, frozen", all, {.resamples = 500, .clusters = seed_count}),
        {.name = "explorer under noise, as recorded", .y = source.mean_by_episode(), .stroke = PlotStroke::dashed}};
    plot.levels = {{"oracle", oracle}, {"random", mean(references.random)}};
    example::write_text(options.out / "curves.svg", to_svg(plot));
    example::write_text(options.out / "curves.csv", to_csv(plot));
    const std::string line = fmt::format(
        "{} seeds, {} targets: episode 1 earns {:.3f} [{:.3f}, {:.3f}] of the oracle, the last ten of {} {:.3f} "
        "[{:.3f}, {:.3f}]; random actions {:.3f}.\n",
        seed_count, all.task_count(), first.value / oracle, first.interval.low / oracle, first.interval.high / oracle,
        episodes, last.value / oracle, last.interval.low / oracle, last.interval.high / oracle,
        mean(references.random) / oracle);
    example::write_text(options.out / "evidence.md", line);
    example::write_json_summary(
        options.out, {{"runs", runs},
                      {"share_of_oracle",
                       {{"first_episode", first.value / oracle},
                        {"first_episode_interval", {first.interval.low / oracle, first.interval.high / oracle}},
                        {"last_ten", last.value / oracle},
                        {"last_ten_interval", {last.interval.low / oracle, last.interval.high / oracle}}}}});
    const bool is_met = last.value >= 0.85 * oracle && last.interval.low > first.interval.high;
    if (!options.quick && seed_count >= 3 && !is_met)
      fail("not met: the last ten episodes earn 0.85 of the oracle or more");
    fmt::print("\n{}\n{}", to_terminal(plot, {.has_color = isatty(STDOUT_FILENO) == 1}), line);
  });
}

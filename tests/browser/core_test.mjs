// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// The page's core in WebAssembly, run by node:
//   core_test.mjs BUILD MODELS actions     what native.cpp prints
//   core_test.mjs BUILD MODELS learning    every goal of the room and 200 pairs of key and door: fails where less is learned
//                                          than the page promises, or an action takes longer
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [build, models, what] = process.argv.slice(2);
const createCore = createRequire(import.meta.url)(resolve(build, "core.js"));
const core = await createCore({ wasmBinary: readFileSync(join(build, "core.wasm")) });

function checked(result) {
  if (result < 0) throw new Error(core.UTF8ToString(core._player_error()));
  return result;
}

function load(name) {
  const bytes = readFileSync(join(models, `${name}.safetensors`));
  const at = core._player_buffer(bytes.length);  // first: the memory may grow, and its views with it
  core.HEAPU8.set(bytes, at);
  checked(core._player_load());
}

const report = (i) => core.HEAPF32[(core._player_report() >> 2) + i];
const doorOf = (key) => (37 * key + 5) % 81;

function printLife(name, first, second) {
  checked(core._player_forget(100 + first));
  let sum = 2166136261;
  for (let episode = 0; episode < 10;) {
    episode += checked(core._player_step());
    for (const i of [2, 3]) sum = Math.imul(sum ^ report(i), 16777619) >>> 0;
  }
  console.log(`${name} ${first} ${second} ${sum.toString(16).padStart(8, "0")}`);
}

function printActions() {
  load("room_int8");
  for (let goal = 0; goal < 81; goal += 4) {
    checked(core._player_hide_goal(goal));
    printLife("room", goal, 0);
  }
  load("key_to_door_int8");
  for (let key = 0; key < 81; key += 4) {
    checked(core._player_hide_key_and_door(key, doorOf(key)));
    printLife("key_to_door", key, doorOf(key));
  }
}

/// Returns of `episodes` episodes of a fresh agent.
function returns(seed, episodes) {
  checked(core._player_forget(seed));
  const found = [0];
  while (found.length <= episodes) {
    const ended = checked(core._player_step()) === 1;
    found[found.length - 1] += report(3);
    if (ended) found.push(0);
  }
  return found.slice(0, episodes);
}

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

/// Of CPU time, as other programs may hold this one up; mostly with a full memory.
function microsecondsPerAction() {
  core._player_act_alone(1000);
  const begin = process.cpuUsage(), count = 4000;
  core._player_act_alone(count);
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / count;
}

/// Means over lives of 20 episodes; a life is lost that earns at most three quarters of the oracle in episodes 11-20.
function judge(name, lives) {
  load(name);
  const curves = lives.map(({ hide, seed }) => {
    checked(hide());
    const oracle = core._player_oracle();
    return { returns: returns(seed, 20), oracle, isNew: core._player_was_trained_on() === 0 };
  });
  const at = (episode, chosen) => mean(chosen.map((curve) => curve.returns[episode - 1]));
  const unseen = curves.filter((curve) => curve.isNew), oracle = mean(curves.map((curve) => curve.oracle));
  const lost = curves.filter((curve) => mean(curve.returns.slice(10)) <= 0.75 * curve.oracle).length;
  const unseenShare = at(10, unseen) / mean(unseen.map((curve) => curve.oracle));
  const microseconds = microsecondsPerAction();
  console.log(`${name}: ${lives.length} lives, return ${at(1, curves).toFixed(3)} in episode 1, ${at(5, curves).toFixed(3)} in 5, ` +
    `${at(10, curves).toFixed(3)} in 10, oracle ${oracle.toFixed(3)}, share ${(at(10, curves) / oracle).toFixed(3)}; ` +
    `${unseen.length} lives in tasks not trained on, share ${unseenShare.toFixed(3)}; ${lost} lost; ${microseconds.toFixed(1)} us of CPU time per action`);
  return { at10: at(10, curves), share: at(10, curves) / oracle, lost, microseconds };
}

function require_(name, holds, text) {
  if (!holds) {
    console.error(`FAILED: ${name}: ${text}`);
    process.exitCode = 1;
  }
}

function judgeLearning() {
  const rooms = [], pairs = [];
  for (let goal = 0; goal < 81; ++goal)
    for (let seed = 1; seed <= 2; ++seed) rooms.push({ seed, hide: () => core._player_hide_goal(goal) });
  for (let i = 0; i < 200; ++i) {
    const key = (29 * i + 3) % 81, other = (53 * i + 11 * Math.floor(i / 81)) % 80, door = other < key ? other : other + 1;
    pairs.push({ seed: 1 + i, hide: () => core._player_hide_key_and_door(key, door) });
  }
  for (const format of ["float32", "int8"]) {
    const room = judge(`room_${format}`, rooms);
    require_(`room_${format}`, room.share >= 0.97, `${room.share} of the oracle in episode 10, promised are .97`);
    require_(`room_${format}`, room.lost === 0, `${room.lost} lives are lost`);
    require_(`room_${format}`, room.microseconds <= 100, `${room.microseconds} us per action, promised are 100`);
    const pair = judge(`key_to_door_${format}`, pairs);
    require_(`key_to_door_${format}`, pair.at10 >= 1.9, `return ${pair.at10} in episode 10, promised is 1.9`);
    require_(`key_to_door_${format}`, pair.lost === 0, `${pair.lost} lives are lost`);
  }
}

if (what === "actions") printActions();
else if (what === "learning") judgeLearning();
else throw new Error(`core_test.mjs BUILD MODELS actions|learning, not ${what}`);

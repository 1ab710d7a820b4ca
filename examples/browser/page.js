// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// The page: draws what the core (core.cpp) does, and passes on what the visitor wants. The query "?auto=10" lets the agent
// live for ten episodes at once and writes numbers into the element "result", for tests; "&tab=key", "&model=float32",
// "&goal=12" (or "&goal=12&door=70") and "&seed=3" say how.
"use strict";

const side = 9;
const worlds = {
  room: { model: "room", horizon: 20, context: 160, yLabel: "return (steps on the goal)",
          hint: "Click a cell to hide the goal there. The agent never sees it: a step that ends there pays 1." },
  key: { model: "key_to_door", horizon: 50, context: 200, yLabel: "return (key 1, door 1)",
         hint: "Click a cell to hide the key, then one for the door. The key pays 1; with it, the door pays 1." },
};
const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);

const state = {
  core: null, world: "room", model: "int8", places: [76, 10], hidesNext: 0, cursor: 40, seed: 1,
  playing: true, debt: 0, steps: [], returns: [], total: 0, time: 0, found: -1, last: null, micros: Infinity, bytes: 0, clock: 0,
};

// ---- the core ----

/// The bytes that bundle.mjs packed.
async function unpacked(base64) {
  const packed = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function checked(result) {
  if (result < 0) throw new Error(state.core.UTF8ToString(state.core._player_error()));
  return result;
}

const modelBytes = {};  // by name

/// Loads the model of the present task and number format.
function loadModel() {
  const core = state.core;
  const bytes = modelBytes[`${worlds[state.world].model}_${state.model}`];
  const at = core._player_buffer(bytes.length);  // first: the memory may grow, and its views with it
  core.HEAPU8.set(bytes, at);
  checked(core._player_load());
  state.micros = Infinity;
  state.bytes = bytes.length;
  hide();
  clearTimeout(state.clock);
  measure(3);
}

/// How long an action takes, and some more times later: browsers compile quickly at first and well after a while.
function measure(left) {
  const count = 200, begin = performance.now();
  checked(state.core._player_act_alone(count));
  state.micros = Math.min(state.micros, (performance.now() - begin) * 1000 / count);
  $("model-note").textContent = `${(state.bytes / 1000).toFixed(0)} kB, ${state.micros.toFixed(0)} µs per action here`;
  if (left > 0) state.clock = setTimeout(() => measure(left - 1), 1500);
}

function hide() {
  const [first, second] = state.places, core = state.core;
  checked(state.world === "room" ? core._player_hide_goal(first) : core._player_hide_key_and_door(first, second));
  forget();
}

function forget() {
  checked(state.core._player_forget(state.seed));
  Object.assign(state, { steps: [], returns: [], total: 0, time: 0, found: -1, last: null, debt: 0 });
}

/// One action. Returns whether it ended the episode.
function step() {
  const core = state.core, ended = checked(core._player_step()) === 1;
  const [row, column, action, reward, nextRow, nextColumn, , remembered] =
    core.HEAPF32.subarray(core._player_report() >> 2, (core._player_report() >> 2) + 8);
  if (state.last && state.last.ended) Object.assign(state, { total: 0, time: 0, found: -1 });
  state.total += reward;
  state.time += 1;
  if (reward > 0 && state.found < 0) state.found = state.time;
  state.last = { row, column, action, reward, nextRow, nextColumn, remembered, ended, episode: state.returns.length,
                 first: state.time === 1 };
  state.steps.push(state.last);
  if (state.steps.length > 1000) state.steps.splice(0, 500);
  if (ended) state.returns.push(state.total);
  return ended;
}

// ---- drawing ----

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function drawing(id) {
  const canvas = $(id), ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "13px system-ui, sans-serif";
  return { pen, width, height };
}

/// The attention of the last step, one share per remembered step; empty where the model keeps none.
function attention() {
  const core = state.core, count = core._player_attention_count(), at = core._player_attention() >> 2;
  return state.last ? core.HEAPF32.subarray(at, at + count) : [];
}
const rememberedSteps = () => state.steps.slice(state.steps.length - Math.min(state.last ? state.last.remembered : 0, state.steps.length));

function drawRoom() {
  const { pen, width } = drawing("room"), size = width / side, shares = attention(), window_ = rememberedSteps();
  const heat = new Float32Array(side * side);
  window_.forEach((s, i) => { if (i < shares.length) heat[s.row * side + s.column] += shares[i]; });
  for (let cell = 0; cell < side * side; ++cell) {
    const x = cell % side * size, y = Math.floor(cell / side) * size;
    pen.fillStyle = color("cell");
    pen.fillRect(x + 1, y + 1, size - 2, size - 2);
    if (heat[cell] > 0.003) {
      pen.fillStyle = `rgba(${color("heat")}, ${Math.min(0.75, Math.sqrt(heat[cell]) * 0.9)})`;
      pen.fillRect(x + 1, y + 1, size - 2, size - 2);
    }
    if (cell === state.cursor && $("room").matches(":focus-visible")) {
      pen.strokeStyle = color("ink");
      pen.lineWidth = 2;
      pen.strokeRect(x + 3, y + 3, size - 6, size - 6);
    }
  }
  const middle = (row, column) => [(column + 0.5) * size, (row + 0.5) * size];
  drawMark(pen, state.places[0], size, "goal", state.world === "room" ? "goal" : "key");
  if (state.world === "key") drawMark(pen, state.places[1], size, "door", "door");
  const path = state.last ? state.steps.slice(-state.time) : [];
  pen.lineWidth = Math.max(2, size * 0.07);
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = color("agent");
  path.forEach((s, i) => {
    pen.globalAlpha = 0.25 + 0.75 * (i + 1) / path.length;
    pen.beginPath();
    pen.moveTo(...middle(s.row, s.column));
    pen.lineTo(...middle(s.nextRow, s.nextColumn));
    pen.stroke();
  });
  pen.globalAlpha = 1;
  const [x, y] = state.last ? middle(state.last.nextRow, state.last.nextColumn) : middle(4, 4);
  if (!state.last && state.world === "key") return;  // its start is random
  pen.fillStyle = color("agent");
  pen.beginPath();
  pen.arc(x, y, size * 0.27, 0, 2 * Math.PI);
  pen.fill();
  pen.strokeStyle = color("panel");
  pen.stroke();
}

function drawMark(pen, cell, size, name, word) {
  const x = (cell % side + 0.5) * size, y = (Math.floor(cell / side) + 0.5) * size;
  pen.strokeStyle = pen.fillStyle = color(name);
  pen.lineWidth = Math.max(2.5, size * 0.08);
  pen.strokeRect(x - size * 0.4, y - size * 0.4, size * 0.8, size * 0.8);
  pen.textAlign = "center";
  pen.font = `600 ${Math.max(10, size * 0.24)}px system-ui, sans-serif`;
  pen.fillText(word, x, y + size * 0.08);
}

function roundStep(range, parts) {
  const least = range / parts, power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= least * 0.999);
}

function drawCurve() {
  const { pen, width, height } = drawing("curve"), oracle = state.core._player_oracle();
  const left = 46, right = width - 10, top = 22, bottom = height - 40, last = Math.max(12, state.returns.length);
  const highest = state.returns.reduce((most, value) => Math.max(most, value), Math.max(oracle * 1.1, 1));
  const x = (episode) => left + (right - left) * (episode - 1) / (last - 1), y = (value) => bottom - (bottom - top) * value / highest;
  pen.lineWidth = 1;
  pen.fillStyle = color("soft");
  for (let value = 0; value <= highest; value += roundStep(highest, 5)) {
    pen.strokeStyle = color("line");
    pen.beginPath();
    pen.moveTo(left, y(value));
    pen.lineTo(right, y(value));
    pen.stroke();
    pen.textAlign = "right";
    pen.fillText(Number(value.toFixed(2)), left - 6, y(value) + 4);
  }
  pen.textAlign = "center";
  const stride = Math.max(1, roundStep(last, 8));
  for (let episode = stride; episode <= last; episode += stride) pen.fillText(episode, x(episode), bottom + 16);
  if (stride > 2) pen.fillText(1, x(1), bottom + 16);
  pen.fillText("episode", (left + right) / 2, bottom + 33);
  pen.textAlign = "left";
  pen.fillText(worlds[state.world].yLabel, 4, 13);
  pen.strokeStyle = color("goal");
  pen.setLineDash([6, 5]);
  pen.beginPath();
  pen.moveTo(left, y(oracle));
  pen.lineTo(right, y(oracle));
  pen.stroke();
  pen.setLineDash([]);
  pen.fillStyle = color("goal");
  pen.textAlign = "right";
  pen.fillText(`best possible: ${Number(oracle.toFixed(2))}`, right, y(oracle) - 5);
  pen.strokeStyle = pen.fillStyle = color("agent");
  pen.lineWidth = 2;
  pen.beginPath();
  state.returns.forEach((value, i) => (i === 0 ? pen.moveTo(x(1), y(value)) : pen.lineTo(x(i + 1), y(value))));
  pen.stroke();
  if (state.returns.length <= 60) {
    state.returns.forEach((value, i) => {
      pen.beginPath();
      pen.arc(x(i + 1), y(value), 3.5, 0, 2 * Math.PI);
      pen.fill();
    });
  }
}

/// A bar per remembered step: its height is the attention on it, or the same for all where the model keeps none.
function drawMemory() {
  const { pen, width, height } = drawing("memory"), { context } = worlds[state.world];
  const shares = attention(), steps = rememberedSteps(), bar = width / context, bottom = height - 18;
  const largest = Math.max(0.02, ...shares);
  pen.fillStyle = color("cell");
  pen.fillRect(0, 0, width, bottom);
  steps.forEach((s, i) => {
    const share = shares.length > 0 ? Math.sqrt((shares[i] || 0) / largest) : 0.45;
    if (s.first) {
      pen.fillStyle = color("soft");
      pen.fillRect(i * bar, 0, 1, bottom);
    }
    pen.fillStyle = color(s.reward > 0 ? "goal" : "agent");
    const high = Math.max(3, share * (bottom - 4));
    pen.fillRect(i * bar + bar * 0.12, bottom - high, bar * 0.76, high);
  });
  pen.fillStyle = color("soft");
  pen.textAlign = "left";
  pen.fillText("oldest step", 0, height - 4);
  pen.textAlign = "right";
  pen.fillText(`${context} steps at most`, width, height - 4);
  $("memory-note").textContent = `Memory: ${steps.length} step${steps.length === 1 ? "" : "s"}; orange ones were paid. ` +
    (shares.length > 0 ? "Height, and blue in the room: attention of the last layer." : "Attention is shown for float32.");
}

function draw() {
  drawRoom();
  drawCurve();
  drawMemory();
  const was = state.core._player_was_trained_on() === 1;
  const paid = state.found > 0 ? `, first paid at step ${state.found}` : "";
  $("status").textContent = state.last
    ? `Episode ${state.last.episode + 1}, step ${state.time} of ${worlds[state.world].horizon}: return ${state.total}${paid}. ` +
      (was ? "This task was among those of the training." : "The network has never seen this task.")
    : "The agent's memory is empty.";
}

// ---- what the visitor does ----

const stepsPerSecond = () => 2 * 2 ** Number($("speed").value);

function showSpeed() {
  $("speed-text").textContent = `${Math.round(stepsPerSecond())} steps/s`;
}

function setPlaying(playing) {
  state.playing = playing;
  $("play").textContent = playing ? "Pause" : "Play";
}

function hideAt(cell) {
  if (state.world === "room") {
    state.places[0] = cell;
  } else {
    if (cell === state.places[1 - state.hidesNext]) return;  // key and door differ
    state.places[state.hidesNext] = cell;
    state.hidesNext = 1 - state.hidesNext;
  }
  ++state.seed;
  hide();
  showHint();
  draw();
}

function hideAtRandom() {
  const cell = () => Math.floor(Math.random() * side * side);
  state.places = [cell(), cell()];
  while (state.places[1] === state.places[0]) state.places[1] = cell();
  state.hidesNext = 0;
  ++state.seed;
  hide();
  showHint();
  draw();
}

/// Another life in the same place: with another seed it searches otherwise.
function clearMemory() {
  ++state.seed;
  forget();
  draw();
}

function showHint() {
  $("hint").textContent = worlds[state.world].hint + (state.world === "key" ? ` Next: the ${state.hidesNext === 0 ? "key" : "door"}.` : "");
}

function showWorld(world) {
  state.world = world;
  for (const name of ["room", "key"]) {
    $(`tab-${name}`).setAttribute("aria-selected", name === world);
    $(`tab-${name}`).tabIndex = name === world ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", `tab-${world}`);
  if (state.places[1] === state.places[0]) state.places[1] = (state.places[0] + 29) % (side * side);
  state.hidesNext = 0;
  loadModel();
  showHint();
  draw();
}

function runToEnd() {
  setPlaying(false);
  while (!step()) { /* until the episode ends */ }
  draw();
}

function stepOnce() {
  setPlaying(false);
  step();
  draw();
}

function changeSpeed(by) {
  $("speed").value = Number($("speed").value) + by;
  showSpeed();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inRoom = event.target === $("room");
  const moves = { ArrowUp: -side, ArrowDown: side, ArrowLeft: -1, ArrowRight: 1 };
  if (inRoom && event.key in moves) {
    const move = moves[event.key], to = state.cursor + move;
    if (to >= 0 && to < side * side && (Math.abs(move) > 1 || Math.floor(to / side) === Math.floor(state.cursor / side))) state.cursor = to;
    draw();
  } else if (inRoom && event.key === "Enter") {
    hideAt(state.cursor);
  } else if (event.target.matches("input, [role=tab], summary")) {
    return;  // they have keys of their own
  } else if (event.key === " " && !event.target.matches("button")) {
    setPlaying(!state.playing);
  } else if (event.key === "ArrowRight") {
    stepOnce();
  } else if (event.key === "e" || event.key === "E") {
    runToEnd();
  } else if (event.key === "c" || event.key === "C") {
    clearMemory();
  } else if (event.key === "r" || event.key === "R") {
    hideAtRandom();
  } else if (event.key === "-" || event.key === "+" || event.key === "=") {
    changeSpeed(event.key === "-" ? -0.5 : 0.5);
  } else {
    return;
  }
  event.preventDefault();
}

function listen() {
  $("room").addEventListener("click", (event) => {
    const box = $("room").getBoundingClientRect(), cellOf = (at, length) => Math.min(side - 1, Math.max(0, Math.floor(at / length * side)));
    hideAt(cellOf(event.clientY - box.top, box.height) * side + cellOf(event.clientX - box.left, box.width));
  });
  for (const name of ["focus", "blur"]) $("room").addEventListener(name, draw);
  $("play").addEventListener("click", () => setPlaying(!state.playing));
  $("step").addEventListener("click", stepOnce);
  $("episode").addEventListener("click", runToEnd);
  $("speed").addEventListener("input", showSpeed);
  $("forget").addEventListener("click", clearMemory);
  $("again").addEventListener("click", hideAtRandom);
  for (const radio of document.getElementsByName("model"))
    radio.addEventListener("change", () => { state.model = radio.value; loadModel(); draw(); });
  for (const world of ["room", "key"]) {
    $(`tab-${world}`).addEventListener("click", () => showWorld(world));
    $(`tab-${world}`).addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = world === "room" ? "key" : "room";
      showWorld(other);
      $(`tab-${other}`).focus();
    });
  }
  document.addEventListener("keydown", onKey);
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

/// Steps that are due since the last frame; a tab that was hidden does not catch up.
function onFrame(now) {
  const seconds = Math.min(0.1, (now - (state.frame ?? now)) / 1000);
  state.frame = now;
  if (state.playing) {
    state.debt += seconds * stepsPerSecond();
    const deadline = performance.now() + 12;
    let moved = false;
    for (; state.debt >= 1 && performance.now() < deadline; state.debt -= 1) { step(); moved = true; }
    state.debt = Math.min(state.debt, 1);
    if (moved) draw();
  }
  requestAnimationFrame(onFrame);
}

function runAlone(episodes) {
  setPlaying(false);
  while (state.returns.length < episodes) step();
  draw();
}

/// What tests read.
function writeResult() {
  $("result").textContent = JSON.stringify({
    world: state.world, model: state.model, places: state.places, seed: state.seed, returns: state.returns,
    oracle: state.core._player_oracle(), was_trained_on: state.core._player_was_trained_on() === 1,
    microseconds_per_action: state.micros, remembered: state.last ? state.last.remembered : 0,
  });
}

function takeQuery() {
  const cell = (name, otherwise) => {
    const value = Number(query.get(name) ?? otherwise);
    return Number.isInteger(value) && value >= 0 && value < side * side ? value : otherwise;
  };
  if (query.get("tab") === "key") state.world = "key";
  if (query.get("model") === "float32") state.model = "float32";
  state.places = [cell("goal", 76), cell("door", 10)];
  state.seed = Number(query.get("seed") ?? 1) >>> 0;
  for (const radio of document.getElementsByName("model")) radio.checked = radio.value === state.model;
}

async function main() {
  try {
    for (const [name, text] of Object.entries(JSON.parse($("models").textContent))) modelBytes[name] = await unpacked(text);
    state.core = await createCore({ wasmBinary: await unpacked($("wasm").textContent) });
    takeQuery();
    $("about").textContent =
      "The network was trained to predict what a systematic search does next, in other rooms, and then frozen. Here it acts: " +
      "each step it reads where it stands, its last action and reward, and looks back over its memory. What it found in earlier " +
      "episodes is in that memory, so it goes straight there. Clear the memory, and it has to search again.";
    listen();
    showSpeed();
    showWorld(state.world);
    const episodes = Math.min(1000, Number(query.get("auto") ?? 0) >>> 0);
    if (episodes > 0) {
      runAlone(episodes);
      measure(0);
      writeResult();
    } else {
      setPlaying(!matchMedia("(prefers-reduced-motion: reduce)").matches);
      requestAnimationFrame(onFrame);
    }
  } catch (error) {
    $("error").hidden = false;
    $("error").textContent = `This page could not start: ${error.message ?? error}`;
  }
}

main();

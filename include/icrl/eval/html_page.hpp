// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include <icrl/core/target.hpp>

// What to_html writes around its numbers: one style sheet, the elements, one script. Nothing is loaded, and the page's
// own policy forbids it.
namespace icrl::detail {

inline constexpr std::string_view html_style = R"css(
:root { color-scheme: light dark; --page: #fbfaf7; --panel: #fff; --ink: #1d2126; --soft: #5b6470; --line: #d5d9df;
  --cell: #f1f3f6; --path: #0072b2; --paid: #c04f00; --accent: #0072b2; --on-accent: #fff; }
@media (prefers-color-scheme: dark) { :root { --page: #14171b; --panel: #1b1f25; --ink: #e9ecf0; --soft: #a2acb8;
  --line: #3a424d; --cell: #232932; --path: #56b4e9; --paid: #f0863c; --accent: #56b4e9; --on-accent: #0d1014; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, Helvetica, Arial, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 16px 12px 32px; }
h1 { font-size: 1.4rem; margin: 0 0 4px; overflow-wrap: anywhere; }
.note { color: var(--soft); margin: 2px 0 12px; overflow-wrap: anywhere; }
.panels { display: grid; grid-template-columns: 1fr 1fr; gap: 20px; padding: 16px; background: var(--panel);
  border: 1px solid var(--line); border-radius: 10px; }
canvas { display: block; width: 100%; }
#place { aspect-ratio: 1; } #curve { aspect-ratio: 3 / 2; cursor: pointer; }
.row { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; margin-top: 10px; }
button { font: inherit; color: inherit; background: var(--cell); border: 1px solid var(--line); border-radius: 8px;
  padding: 6px 12px; min-height: 40px; cursor: pointer; }
#play { background: var(--accent); color: var(--on-accent); border-color: var(--accent); min-width: 5.5em; }
button:focus-visible, input:focus-visible, canvas:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
input { flex: 1 1 100px; accent-color: var(--accent); }
output, #status { font-variant-numeric: tabular-nums; } #status { min-height: 3em; margin: 10px 0 0; }
@media (max-width: 720px) { .panels { grid-template-columns: minmax(0, 1fr); padding: 10px; } }
)css";

inline constexpr std::string_view html_body = R"html(
<div class="panels"><section><canvas id="place" role="img" aria-label="Path of the episode"></canvas></section>
<section><canvas id="curve" role="img" aria-label="Return of each episode"></canvas>
<div class="row"><button id="play">Play</button><button id="back" aria-label="one step back">&#x25C0; step</button>
<button id="forth" aria-label="one step on">step &#x25B6;</button></div>
<div class="row"><button id="before">Episode before</button><button id="after">Next episode</button></div>
<label class="row">Episode <input id="episode" type="range" min="0" value="0" step="1"><output id="episode-text"></output></label>
<label class="row">Speed <input id="speed" type="range" min="0" max="9" value="3.5" step="0.5"><output id="speed-text"></output></label>
<p id="status" role="status" aria-live="off"></p></section></div>
<p class="note">Keys: space plays and pauses, left and right step, down and up change the episode, home and end go to the first
and last one, minus and plus change the speed.</p>
)html";

inline constexpr std::string_view html_script = R"js(
"use strict";
const data = JSON.parse(document.getElementById("data").textContent), $ = (id) => document.getElementById(id);
const state = { episode: 0, at: 0, playing: false, debt: 0, frame: 0 };
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const now = () => data.episodes[state.episode];
const short = (value) => Number(value.toPrecision(7));

function drawing(id) {
  const canvas = $(id), ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.font = "13px system-ui, sans-serif";
  return { pen, width, height };
}
function line(pen, x1, y1, x2, y2) { pen.beginPath(); pen.moveTo(x1, y1); pen.lineTo(x2, y2); pen.stroke(); }
function dot(pen, x, y, r) { pen.beginPath(); pen.arc(x, y, r, 0, 2 * Math.PI); pen.fill(); }
function roundStep(range, parts) {
  const least = range / parts, power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999);
}
function ticks(low, high, parts) {
  const step = roundStep(high - low, parts), list = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i) list.push(Number((i * step).toPrecision(12)));
  return list;
}
function upright(pen, text, x, y) { pen.save(); pen.translate(x, y); pen.rotate(-Math.PI / 2); pen.fillText(text, 0, 0); pen.restore(); }

/// Point i of the path on the canvas, and the size of a cell (of a plane: of a mark).
function frame(width, height) {
  const left = 46, bottom = 40, room = Math.min(width - left - 8, height - bottom - 8);
  if (data.kind === "grid") {
    const size = room / Math.max(data.rows, data.columns);
    return { left, top: 8, wide: size * data.columns, high: size * data.rows, size, at: (i) => {
      const cell = now().path[i], row = Math.floor(cell / data.columns);
      return [left + (cell - row * data.columns + 0.5) * size, 8 + (row + 0.5) * size];
    } };
  }
  return { left, top: 8, wide: room, high: room, size: room / 24, at: (i) =>
    [left + (now().path[2 * i] - data.x.low) / (data.x.high - data.x.low) * room,
     8 + room - (now().path[2 * i + 1] - data.y.low) / (data.y.high - data.y.low) * room] };
}

function drawPlace() {
  const { pen, width, height } = drawing("place"), f = frame(width, height);
  pen.fillStyle = color("cell");
  pen.fillRect(f.left, f.top, f.wide, f.high);
  pen.lineWidth = 1;
  const grid = data.kind === "grid";
  const axis = (along, count) => grid ? [...Array(count).keys()].filter((i) => i % Math.max(1, roundStep(count, 10)) === 0)
                                      : ticks(along.low, along.high, 5);
  for (const upward of [false, true]) {
    const along = upward ? data.y : data.x, count = upward ? data.rows : data.columns, span = upward ? f.high : f.wide;
    if (grid && f.size >= 5) {
      pen.strokeStyle = color("line");
      for (let i = 0; i <= count; ++i) {
        const p = i * f.size;
        upward ? line(pen, f.left, f.top + p, f.left + f.wide, f.top + p) : line(pen, f.left + p, f.top, f.left + p, f.top + f.high);
      }
    }
    pen.fillStyle = color("soft");
    for (const mark of axis(along, count)) {
      const share = grid ? (mark + 0.5) / count : (mark - along.low) / (along.high - along.low);
      pen.textAlign = upward ? "right" : "center";
      if (upward) pen.fillText(mark, f.left - 5, f.top + (grid ? share : 1 - share) * span + 4);
      else pen.fillText(mark, f.left + share * span, f.top + f.high + 16);
    }
    pen.textAlign = "center";
    if (upward) upright(pen, along.label, 13, f.top + f.high / 2);
    else pen.fillText(along.label, f.left + f.wide / 2, f.top + f.high + 33);
  }
  const episode = now();
  pen.lineWidth = Math.max(1.5, Math.min(4, f.size * 0.1));
  pen.lineCap = "round";
  pen.strokeStyle = color("path");
  for (let i = 1; i <= state.at; ++i) {
    pen.globalAlpha = 0.2 + 0.8 * i / state.at;
    line(pen, ...f.at(i - 1), ...f.at(i));
  }
  pen.globalAlpha = 1;
  pen.strokeRect(f.at(0)[0] - f.size * 0.2, f.at(0)[1] - f.size * 0.2, f.size * 0.4, f.size * 0.4);
  pen.fillStyle = color("paid");
  for (let i = 1; i <= state.at; ++i) if (episode.rewards[i - 1] !== 0) dot(pen, ...f.at(i), Math.max(3, f.size * 0.4));
  pen.fillStyle = color("path");
  dot(pen, ...f.at(state.at), Math.max(3, f.size * 0.26));
}

function curveFrame(width, height) {
  const left = 52, right = width - 10, top = 10, bottom = height - 40;
  let low = Math.min(0, ...data.returns), high = Math.max(0, ...data.returns);
  if (low === high) high = low + 1;
  const last = Math.max(2, data.episode_count);
  return { left, right, top, bottom, low, high, last, x: (episode) => left + (right - left) * (episode - 1) / (last - 1),
           y: (value) => bottom - (bottom - top) * (value - low) / (high - low) };
}
function drawCurve() {
  const { pen, width, height } = drawing("curve"), f = curveFrame(width, height);
  pen.fillStyle = color("soft");
  for (const mark of ticks(f.low, f.high, 5)) {
    pen.strokeStyle = color("line");
    line(pen, f.left, f.y(mark), f.right, f.y(mark));
    pen.textAlign = "right";
    pen.fillText(mark, f.left - 6, f.y(mark) + 4);
  }
  pen.textAlign = "center";
  for (const mark of ticks(1, f.last, 6)) if (Number.isInteger(mark)) pen.fillText(mark, f.x(mark), f.bottom + 16);
  pen.fillText("episode", (f.left + f.right) / 2, f.bottom + 33);
  upright(pen, "return (sum of rewards)", 12, (f.top + f.bottom) / 2);
  pen.strokeStyle = pen.fillStyle = color("path");
  pen.lineWidth = 2;
  pen.beginPath();
  const middle = (i) => Math.min(data.episode_count, i * data.return_stride + (data.return_stride + 1) / 2);
  data.returns.forEach((value, i) => pen[i === 0 ? "moveTo" : "lineTo"](f.x(middle(i)), f.y(value)));
  pen.stroke();
  if (data.returns.length === 1) dot(pen, f.x(1), f.y(data.returns[0]), 4);
  pen.strokeStyle = pen.fillStyle = color("paid");
  line(pen, f.x(now().number), f.top, f.x(now().number), f.bottom);
  dot(pen, f.x(now().number), f.y(Math.min(f.high, Math.max(f.low, now().return))), 5);
}

function draw() {
  const episode = now(), step = Math.min(episode.length, state.at * episode.stride);
  const so_far = episode.rewards.slice(0, state.at).reduce((sum, reward) => sum + reward, 0);
  drawPlace();
  drawCurve();
  $("episode").value = state.episode;
  $("episode-text").textContent = episode.number + " of " + data.episode_count;
  $("speed-text").textContent = Math.round(speed()) + " steps/s";
  $("status").textContent = "Episode " + episode.number + ", step " + step + " of " + episode.length + ": return so far " + short(so_far) +
    " of " + short(episode.return) + (state.at === episode.path_length ? " (" + episode.ending + ")" : "");
}

const speed = () => 2 * 2 ** Number($("speed").value);
function play(playing) { state.playing = playing; state.debt = 0; $("play").textContent = playing ? "Pause" : "Play"; }
function show(episode, at) {
  state.episode = Math.max(0, Math.min(data.episodes.length - 1, episode));
  state.at = Math.max(0, Math.min(now().path_length, at));
  draw();
}
/// By one point; past an episode's end or beginning to the next or the one before.
function move(by) {
  const to = state.at + by;
  if (to > now().path_length && state.episode + 1 < data.episodes.length) show(state.episode + 1, 0);
  else if (to < 0 && state.episode > 0) show(state.episode - 1, Infinity);
  else if (to > now().path_length) play(false);
  else show(state.episode, to);
}
const stop = (action) => () => { play(false); action(); };
$("play").onclick = () => play(!state.playing);
$("back").onclick = stop(() => move(-1));
$("forth").onclick = stop(() => move(1));
$("before").onclick = () => show(state.episode - 1, 0);
$("after").onclick = () => show(state.episode + 1, 0);
$("episode").max = data.episodes.length - 1;
$("episode").oninput = () => show(Number($("episode").value), 0);
$("speed").oninput = draw;
$("curve").onclick = (event) => {
  const box = $("curve").getBoundingClientRect(), f = curveFrame(box.width, box.height);
  const wanted = 1 + (event.clientX - box.left - f.left) / (f.right - f.left) * (f.last - 1);
  let best = 0;
  data.episodes.forEach((episode, i) => { if (Math.abs(episode.number - wanted) < Math.abs(data.episodes[best].number - wanted)) best = i; });
  show(best, 0);
};
const faster = (by) => { $("speed").value = Number($("speed").value) + by; draw(); };
const keys = { ArrowLeft: $("back").onclick, ArrowRight: $("forth").onclick, ArrowUp: $("before").onclick, ArrowDown: $("after").onclick,
  Home: () => show(0, 0), End: () => show(Infinity, 0), "-": () => faster(-0.5), "+": () => faster(0.5), "=": () => faster(0.5),
  " ": () => play(!state.playing) };
document.addEventListener("keydown", (event) => {
  if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
  if (event.key === " " && event.target.tagName === "BUTTON") return;
  keys[event.key]();
  event.preventDefault();
});
function onFrame(time) {
  if (state.playing) {
    state.debt += Math.min(0.1, (time - state.frame) / 1000) * speed() / now().stride;
    for (; state.debt >= 1 && state.playing; state.debt -= 1) move(1);
  }
  state.frame = time;
  requestAnimationFrame(onFrame);
}
window.addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
requestAnimationFrame(onFrame);
)js";

}  // namespace icrl::detail

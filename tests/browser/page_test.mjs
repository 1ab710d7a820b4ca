// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// The page in headless Chromium, as a visitor has it: from its file and from a server, on a desktop and on a phone.
//   page_test.mjs INDEX.HTML REPLAY.HTML FOLDER     pictures go to FOLDER; REPLAY.HTML is a page of to_html
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

import { Chromium } from "./chromium.mjs";

const [index, replay, folder] = process.argv.slice(2);
const file = pathToFileURL(resolve(index)).href;
const server = createServer((request, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end(readFileSync(index));
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const served = `http://127.0.0.1:${server.address().port}/`;
const browser = await Chromium.start(process.env.CHROMIUM ?? "chromium");
process.on("exit", () => browser.process.kill());  // also after an error

let failures = 0;
function check(name, holds, found = "") {
  console.log(`${holds ? "passed" : "FAILED"}  ${name}${found === "" ? "" : `: ${found}`}`);
  if (!holds) ++failures;
}
/// Nothing went wrong in a page, and nothing was asked of any network.
async function close(page, name) {
  check(`${name}: no error`, page.faults.length === 0 && await page.evaluate("document.getElementById('error')?.hidden ?? true"), page.faults.join("; "));
  const others = page.requests.filter((url) => !url.startsWith("data:") && url.split("?")[0] !== file && !url.startsWith(served) &&
    url !== pathToFileURL(resolve(replay)).href);
  check(`${name}: loads nothing`, page.requests.length > 0 && others.length === 0, others.join(" "));
  await page.close();
}

/// What ?auto=10 writes.
async function life(base, query) {
  const page = await browser.open(`${base}?auto=10&${query}`);
  await page.until("document.getElementById('result').textContent !== '' || !document.getElementById('error').hidden");
  const text = await page.evaluate("document.getElementById('result').textContent");
  await close(page, query);
  return JSON.parse(text || "{}");
}
for (const [name, base] of [["file", file], ["server", served]]) {
  for (const model of ["int8", "float32"]) {
    let earned = 0, possible = 0, slowest = 0;
    for (const goal of [0, 22, 44, 74]) {
      const { returns, oracle, microseconds_per_action: time } = await life(base, `goal=${goal}&model=${model}`);
      earned += returns[9];
      possible += oracle;
      slowest = Math.max(slowest, time);
    }
    check(`${name}, room, ${model}: return of episode 10`, earned >= 0.97 * possible, `${earned} of ${possible}, ${slowest.toFixed(0)} us per action`);
    const pair = await life(base, `tab=key&goal=13&door=66&model=${model}`);
    check(`${name}, key and door, ${model}: returns`, pair.returns.slice(7).every((value) => value === 2), pair.returns.join(" "));
  }
}

/// As a visitor: a click hides the goal, the agent finds it, the memory is cleared, the tab is changed.
async function visit(name, options) {
  const finger = options.touch === true, page = await browser.open(file, options);
  await page.until("state.returns.length > 0");
  await page.evaluate("setPlaying(false)");
  await page.click("#room", 7.5 / 9, 1.5 / 9, finger);
  check(`${name}: a click hides the goal`, await page.evaluate("state.places[0]") === 16, await page.evaluate("state.places[0]"));
  check(`${name}: a new task begins with an empty memory`, await page.evaluate("state.returns.length") === 0);
  await page.evaluate("document.getElementById('speed').value = 10; showSpeed(); setPlaying(true)");
  await page.until("state.returns.length >= 12");
  await page.click("#play", 0.5, 0.5, finger);
  const returns = await page.evaluate("state.returns"), oracle = await page.evaluate("state.core._player_oracle()");
  check(`${name}: return of episode 10`, returns[9] >= 0.9 * oracle && returns[0] < returns[9], `${returns.slice(0, 10).join(" ")}, oracle ${oracle}`);
  const count = await page.evaluate("state.returns.length");
  await page.click("#episode", 0.5, 0.5, finger);
  check(`${name}: one more episode`, await page.evaluate("state.returns.length") === count + 1 && !(await page.evaluate("state.playing")));
  check(`${name}: nothing wider than the screen`, await page.evaluate("document.documentElement.scrollWidth <= innerWidth"),
    await page.evaluate("document.documentElement.scrollWidth + ' of ' + innerWidth"));
  await page.click("input[value=float32]", 0.5, 0.5, finger);
  check(`${name}: the other model`, await page.evaluate("state.model === 'float32' && state.returns.length === 0"), await page.evaluate("document.getElementById('model-note').textContent"));
  await page.evaluate("runAlone(6)");
  check(`${name}: attention is a distribution`, Math.abs(await page.evaluate("attention().reduce((a, b) => a + b, 0)") - 1) < 1e-3);
  await page.evaluate("step(); step(); step(); step(); step(); step(); step(); step(); draw(); scrollTo(0, 0)");
  await page.screenshot(join(folder, `${name}.png`));
  await page.click("#forget", 0.5, 0.5, finger);
  check(`${name}: memory cleared`, await page.evaluate("state.steps.length === 0 && state.returns.length === 0"));
  await page.click("#tab-key", 0.5, 0.5, finger);
  await page.click("#room", 0.5 / 9, 0.5 / 9, finger);
  await page.click("#room", 8.5 / 9, 7.5 / 9, finger);
  check(`${name}: two clicks hide key and door`, await page.evaluate("state.places.join()") === "0,71", await page.evaluate("state.places.join()"));
  await page.evaluate("runAlone(10)");
  check(`${name}: key and door`, await page.evaluate("state.returns[9]") === 2, await page.evaluate("state.returns.join(' ')"));
  await page.evaluate("scrollTo(0, 0)");
  await page.screenshot(join(folder, `${name}_key.png`));
  await close(page, name);
}
await visit("desktop", { width: 1200, height: 820 });
await visit("dark", { width: 1200, height: 820, dark: true });
await visit("phone", { width: 390, height: 844, scale: 2, touch: true });

{
  const page = await browser.open(file);
  await page.until("state.returns.length > 0");
  await page.evaluate("document.getElementById('room').focus()");
  for (const key of ["ArrowUp", "ArrowLeft", "ArrowLeft", "Enter"]) await page.press(key);
  check("keys hide the goal", await page.evaluate("state.places[0]") === 29, await page.evaluate("state.places[0]"));
  await page.press(" ", " ");
  const count = await page.evaluate("state.time");
  await page.evaluate("document.getElementById('room').blur()");
  await page.press("ArrowRight");
  check("keys pause and step", await page.evaluate("!state.playing && state.time") === count + 1);
  await close(page, "keys");
}

{  // a damaged page says so
  const broken = join(folder, "broken.html"), text = readFileSync(index, "utf8");
  writeFileSync(broken, text.replace(/"room_int8":"[^"]*"/, `"room_int8":"${gzipSync("no model at all").toString("base64")}"`));
  const page = await browser.open(pathToFileURL(resolve(broken)).href);
  await page.until("!document.getElementById('error').hidden");
  const error = await page.evaluate("document.getElementById('error').textContent");
  check("a damaged model is an error that the page shows", error.includes("player_model.safetensors"), error);
  await page.close();
}

{  // the picture of docs/browser.md
  const page = await browser.open(`${file}?goal=76&model=float32`, { width: 1060, height: 870 });
  await page.until("state.returns.length > 0");
  await page.evaluate("new Promise((resolve) => setTimeout(resolve, 6000))");  // until the time per action is that of compiled code
  await page.evaluate("setPlaying(false); forget(); runAlone(6); for (let i = 0; i < 7; ++i) step(); draw()");
  await page.screenshot(join(folder, "picture.png"));
  await close(page, "picture");
}

{  // a plane, thinned out: a spiral of 120 points, each of 3 steps
  const path = [], rewards = Array(119).fill(0).map((_, i) => (i > 100 ? 0.5 : 0));
  for (let i = 0; i < 120; ++i) path.push(i / 120 * Math.cos(i / 6), i / 120 * Math.sin(i / 6));
  const episode = { number: 1, length: 357, stride: 3, path_length: 119, return: 9, ending: "terminated", path, rewards };
  const data = { kind: "plane", rows: 0, columns: 0, x: { label: "place (m)", low: -1, high: 1 }, y: { label: "height (m)", low: -1, high: 1 },
                 episode_count: 40, return_stride: 4, returns: [9, 8, 8, 7, 5, 3, 2, 0, -1, -3], episodes: [episode, { ...episode, number: 40, return: -3 }] };
  const plane = join(folder, "plane.html"), text = readFileSync(replay, "utf8");
  writeFileSync(plane, text.replace(/(id="data">)[^<]*/, (_, begin) => begin + JSON.stringify(data)));
  const page = await browser.open(pathToFileURL(resolve(plane)).href);
  await page.evaluate("show(0, Infinity)");
  const status = await page.evaluate("document.getElementById('status').textContent");
  check("plane: the end of a thinned path", status === "Episode 1, step 357 of 357: return so far 9 of 9 (terminated)", status);
  await page.click("#curve", 0.95, 0.5);
  check("plane: a click on the curve shows the nearest episode", await page.evaluate("now().number") === 40);
  await page.evaluate("show(0, 110)");
  await page.screenshot(join(folder, "plane.png"));
  check("plane: no error", page.faults.length === 0, page.faults.join("; "));
  await page.close();
}

for (const [name, options] of [["replay", {}], ["replay_dark", { dark: true }], ["replay_phone", { width: 390, height: 844, scale: 2, touch: true }]]) {
  const page = await browser.open(pathToFileURL(resolve(replay)).href, options);
  const episodes = await page.evaluate("data.episodes.length");
  await page.press("End");
  check(`${name}: the last episode`, await page.evaluate("state.episode") === episodes - 1);
  await page.press("ArrowRight");
  await page.press("ArrowRight");
  check(`${name}: two steps`, await page.evaluate("state.at") === 2, await page.evaluate("document.getElementById('status').textContent"));
  await page.press("ArrowUp");
  check(`${name}: the episode before`, await page.evaluate("state.episode") === episodes - 2);
  await page.evaluate("document.getElementById('speed').value = 9; draw()");
  await page.click("#play", 0.5, 0.5, options.touch);
  await page.until(`state.episode === ${episodes - 1} && state.at === now().path_length && !state.playing`);
  check(`${name}: played to the end`, (await page.evaluate("document.getElementById('status').textContent")).includes("(truncated)"));
  check(`${name}: nothing wider than the screen`, await page.evaluate("document.documentElement.scrollWidth <= innerWidth"));
  await page.evaluate("scrollTo(0, 0)");
  await page.screenshot(join(folder, `${name}.png`));
  await close(page, name);
}

await browser.stop();
server.close();
console.log(failures === 0 ? "the page: passed" : `the page: ${failures} FAILED`);
process.exitCode = failures === 0 ? 0 : 1;

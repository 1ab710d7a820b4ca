// SPDX-FileCopyrightText: The icrl authors
// SPDX-License-Identifier: MIT
//
// Puts the page together, one file without any other: bundle.mjs BUILD MODELS OUT.HTML
//   BUILD has core.js and core.wasm, MODELS the safetensors files; page.* lie beside this file.
import { readFileSync, writeFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const [build, models, out] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const text = (path) => readFileSync(path, "utf8");
const packed = (path) => gzipSync(readFileSync(path), { level: 9 }).toString("base64");

const modelFiles = readdirSync(models).filter((name) => name.endsWith(".safetensors")).sort();
if (modelFiles.length === 0) throw new Error(`${models}: there is no model`);
const parts = {
  "/*{{page.css}}*/": text(join(here, "page.css")),
  "{{core.wasm}}": packed(join(build, "core.wasm")),
  "{{models}}": JSON.stringify(Object.fromEntries(
    modelFiles.map((name) => [name.replace(".safetensors", ""), packed(join(models, name))]))),
  "{{core.js}}": text(join(build, "core.js")),
  "{{page.js}}": text(join(here, "page.js")),
};
let page = text(join(here, "page.html"));
for (const [mark, part] of Object.entries(parts)) {
  if (page.split(mark).length !== 2) throw new Error(`page.html: ${mark} must occur once`);
  // A script ends at its first end tag, wherever that stands; a function, as a replacement's dollars have a meaning.
  page = page.replace(mark, () => part.replaceAll("</script", "<\\/script"));
}
writeFileSync(out, page);
console.log(`${out}: ${page.length} bytes, ${modelFiles.length} models`);

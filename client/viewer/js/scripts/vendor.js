/**
 * Copies what a page needs of other people's packages to ../vendor, with a compressed copy of
 * each file beside it, and a notice of their licences.
 *
 *     node scripts/vendor.js
 *
 * The folder is made anew beside the old one, which it replaces when all of it is there.
 */
import { copyFile, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";

const HOME = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const MODULES = path.join(HOME, "node_modules");
const VENDOR = path.join(HOME, "..", "vendor");
const NOTICE = "THIRD-PARTY.txt";

/** Files smaller than this are not worth a second copy. */
const WORTH_COMPRESSING = 256;

/**
 * Packages: where their files are, which of them a page may load, and where they go.
 * @type {Record<string, { from: string, wanted: RegExp, to: string }>}
 */
const WANTED = {
  "onnxruntime-web": {
    from: "dist",
    // WebAssembly for all; the build that also has WebGPU wants a browser that can suspend
    // WebAssembly (JSPI), and is little more than half as large as the one that does without.
    wanted: /^(ort\.(wasm|jspi)\.min|ort-wasm-simd-threaded(\.jspi)?)\.(mjs|wasm)$/,
    to: "onnxruntime-web",
  },
  "@noble/hashes": { from: ".", wanted: /^(sha2|_md|_u64|utils)\.js$/, to: "noble-hashes" },
};

/** Packages that are a part of the files above, and are named in the notice. */
const BUNDLED = ["onnxruntime-common"];

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`;

/** Licences that a package names but does not bring. @type {Record<string, string>} */
const LICENCES = {
  "onnxruntime-web": `Copyright (c) Microsoft Corporation\n\n${MIT}`,
  "onnxruntime-common": `Copyright (c) Microsoft Corporation\n\n${MIT}`,
};

const gzip = promisify(zlib.gzip);
const brotli = promisify(zlib.brotliCompress);

/**
 * Write the compressed copies of a file; WebAssembly, of which there are megabytes, remains in these.
 * @param {string} file
 */
async function compress(file) {
  const data = await readFile(file);
  if (data.length < WORTH_COMPRESSING) return;
  const params = {
    // 10 and 11 save another tenth, and take minutes.
    [zlib.constants.BROTLI_PARAM_QUALITY]: 9,
    [zlib.constants.BROTLI_PARAM_LGWIN]: 24,
    [zlib.constants.BROTLI_PARAM_SIZE_HINT]: data.length,
  };
  const copies = [
    brotli(data, { params }).then((small) => writeFile(`${file}.br`, small)),
    gzip(data, { level: 9 }).then((small) => writeFile(`${file}.gz`, small)),
  ];
  await Promise.all(copies);
  // Every browser takes one of the two.
  if (file.endsWith(".wasm")) await rm(file);
}

/**
 * Copy what is wanted of a package, and return the paths of the copies.
 * @param {string} name
 * @param {string} target
 */
async function copied(name, target) {
  const { from, wanted, to } = WANTED[name];
  const source = path.join(MODULES, name, from);
  const found = await readdir(source, { recursive: true });
  const files = found.map((file) => file.split(path.sep).join("/")).filter((f) => wanted.test(f));
  if (files.length === 0) throw new Error(`${name} has none of the files that are wanted`);
  const copies = [];
  for (const file of files) {
    const copy = path.join(target, to, file);
    await mkdir(path.dirname(copy), { recursive: true });
    await copyFile(path.join(source, file), copy);
    copies.push(copy);
  }
  return copies;
}

/**
 * Return what the notice says of a package.
 * @param {string} name
 */
async function notice(name) {
  const folder = path.join(MODULES, name);
  const facts = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
  const own = (await readdir(folder)).find((file) => /^licen[cs]e(\.\w+)?$/i.test(file));
  const text = own ? await readFile(path.join(folder, own), "utf8") : LICENCES[name];
  if (!text) throw new Error(`${name} does not say under which licence it is`);
  return `${name} ${facts.version} (${facts.license})\n\n${text.trim()}\n`;
}

const fresh = `${VENDOR}.part`;
await rm(fresh, { recursive: true, force: true });
const copies = [];
for (const name of Object.keys(WANTED)) copies.push(...(await copied(name, fresh)));
await Promise.all(copies.map(compress));
const notices = await Promise.all([...Object.keys(WANTED), ...BUNDLED].map(notice));
const rule = `\n${"-".repeat(72)}\n\n`;
const opening = "The files in this folder are other people's work, copied unchanged.\n";
await writeFile(path.join(fresh, NOTICE), [opening, ...notices].join(rule));
await rm(VENDOR, { recursive: true, force: true });
await rename(fresh, VENDOR);

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

import { MODULES, NOTICE, notices } from "./notices.js";

const HOME = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const VENDOR = path.join(HOME, "..", "vendor");

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

const fresh = `${VENDOR}.part`;
await rm(fresh, { recursive: true, force: true });
const copies = [];
for (const name of Object.keys(WANTED)) copies.push(...(await copied(name, fresh)));
await Promise.all(copies.map(compress));
await writeFile(path.join(fresh, NOTICE), await notices(Object.keys(WANTED)));
await rm(VENDOR, { recursive: true, force: true });
await rename(fresh, VENDOR);

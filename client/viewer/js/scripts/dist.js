/**
 * Makes the folder that a site needs for <diffc-picture>: one script, and what it loads later.
 *
 *     node scripts/dist.js [FOLDER [MODELS]]
 *
 * FOLDER is dist/ unless given, and is made anew; MODELS is the folder that has the models, by
 * default that of the Python package beside this one.
 */
import { copyFile, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { MODULES, NOTICE, notices } from "./notices.js";

const HOME = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const [target = path.join(HOME, "dist"), models = path.join(HOME, "../../../diffc_stream/models")] =
  process.argv.slice(2).map((argument) => path.resolve(argument));
const RUNTIME = path.join(MODULES, "onnxruntime-web/dist");
const RUNTIME_FILES = [
  "ort.wasm.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
];
/** Of the model that senders use unless told otherwise; NAME-FINGERPRINT.SUFFIX in MODELS. */
const MODEL = /^small-(6c137b2c\.(?:onnx|safetensors))$/;

const fresh = `${target}.part`;
await rm(fresh, { recursive: true, force: true });
for (const folder of ["ort", "models"]) await mkdir(path.join(fresh, folder), { recursive: true });
await build({
  absWorkingDir: HOME,
  entryPoints: ["src/picture.js", "src/worker.js"],
  outdir: fresh,
  bundle: true,
  splitting: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "eof",
  logLevel: "warning",
});
for (const file of RUNTIME_FILES) {
  await copyFile(path.join(RUNTIME, file), path.join(fresh, "ort", file));
}
const found = (await readdir(models)).flatMap((file) => MODEL.exec(file) ?? []);
for (let i = 0; i < found.length; i += 2) {
  await copyFile(path.join(models, found[i]), path.join(fresh, "models", found[i + 1]));
}
if (found.length !== 4) throw new Error(`the default model is not in ${models}`);
for (const file of ["LICENSE", "NOTICE"]) {
  await copyFile(path.join(HOME, file), path.join(fresh, file));
}
const opening = "Of these files, some are other people's work, or contain it.";
const packages = ["onnxruntime-web", "@noble/hashes"];
await writeFile(path.join(fresh, NOTICE), await notices(packages, opening));
await rm(target, { recursive: true, force: true });
await rename(fresh, target);

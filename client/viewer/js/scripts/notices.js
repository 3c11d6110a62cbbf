/**
 * The notice of the licences of other people's packages, beside copies of their files.
 *
 * @module
 */
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const MODULES = path.join(
  path.dirname(path.dirname(fileURLToPath(import.meta.url))),
  "node_modules",
);
/** The name of the notice's file. */
export const NOTICE = "THIRD-PARTY.txt";

/** Packages that are a part of another's files, and are named in the notice with it. */
const BUNDLED = { "onnxruntime-web": ["onnxruntime-common"] };

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

/**
 * Return the text of the notice for files of these packages.
 *
 * @param {string[]} packages
 * @param {string} [opening] what it says first
 */
export async function notices(
  packages,
  opening = "The files in this folder are other people's work, copied unchanged.",
) {
  const parts = packages.flatMap(
    (name) => /** @type {Record<string, string[]>} */ (BUNDLED)[name] ?? [],
  );
  const found = await Promise.all([...packages, ...parts].map(notice));
  const rule = `\n${"-".repeat(72)}\n\n`;
  return [`${opening}\n`, ...found].join(rule);
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

/**
 * Which picture the address of the page names: `#/NAME`; without a name it is all of them.
 *
 * @module
 */

/**
 * The picture that a fragment names; null for all of them.
 *
 * @param {string} hash As in `location.hash`.
 * @returns {string | null}
 */
export function named(hash) {
  if (!hash.startsWith("#/")) return null;
  try {
    return decodeURIComponent(hash.slice(2)) || null;
  } catch {
    return null;
  }
}

/** The fragment that names a picture. @param {string} name */
export function fragment(name) {
  return `#/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/**
 * The picture in the page's address, `#/NAME`; without a name the page shows all pictures.
 *
 * @module
 */

/**
 * Return the picture that a fragment names; null for all pictures.
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

/** Return the fragment that names a picture. @param {string} name */
export function fragment(name) {
  return `#/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/**
 * The parts of the page that show one picture.
 *
 * @module
 */

/** Return the parts.  Throws TypeError if the page lacks one. @param {HTMLElement} stage */
export function partsOf(stage) {
  /** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
  const part = (id, kind) => {
    const found = stage.querySelector(`#${id}`);
    if (!(found instanceof kind)) throw new TypeError(`the page has no ${id}`);
    return found;
  };
  return {
    frame: /** @type {HTMLElement} */ (stage.querySelector(".ours .frame")),
    canvas: part("canvas", HTMLCanvasElement),
    waiting: part("waiting", HTMLElement),
    caption: part("caption", HTMLElement),
    synthesised: part("synthesised", HTMLElement),
    comparison: part("comparison", HTMLElement),
    axis: part("axis", HTMLElement),
    live: part("live", HTMLButtonElement),
    enough: part("enough", HTMLButtonElement),
    more: part("more", HTMLButtonElement),
    motion: part("motion", HTMLButtonElement),
    cost: part("cost", HTMLElement),
    realism: part("realism", HTMLInputElement),
    realismValue: part("realism-value", HTMLOutputElement),
    observation: part("observation", HTMLInputElement),
    compareSwitch: part("compare-switch", HTMLElement),
    compare: part("compare", HTMLInputElement),
    facts: part("facts", HTMLElement),
    said: part("said", HTMLElement),
    work: part("work", HTMLElement),
    selection: part("selection", HTMLElement),
    regions: part("regions", HTMLElement),
    region: part("region", HTMLButtonElement),
    save: part("save", HTMLButtonElement),
    previous: part("previous", HTMLAnchorElement),
    next: part("next", HTMLAnchorElement),
  };
}

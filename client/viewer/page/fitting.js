/**
 * Fits a picture into the room that there is for it.
 *
 * @module
 */

/**
 * Set the size at which `stage` shows a picture within `frame`; it is enlarged by whole pixels of
 * the screen.
 *
 * @param {HTMLElement} stage
 * @param {HTMLElement} frame
 * @param {{ width: number, height: number }} shown
 */
export function fit(stage, frame, { width, height }) {
  const dots = globalThis.devicePixelRatio || 1;
  const scale = Math.min(frame.clientWidth / width, frame.clientHeight / height) * dots;
  // On screens of high resolution, unequal pixels do not show.
  const whole = scale > 1 && dots < 2 ? Math.floor(scale) : scale;
  stage.style.setProperty("--width", `${(width * whole) / dots}px`);
  stage.style.setProperty("--height", `${(height * whole) / dots}px`);
  stage.toggleAttribute("data-enlarged", whole > 1);
}

/**
 * The receiver of diffc-stream in JavaScript: for browsers, and for Node.
 *
 * @module
 */

/** @typedef {import("./listing.js").State} Pictures */
/** @typedef {import("./container/reference.js").Named} Named */
/** @typedef {import("./starts.js").Find} Find */
/** @typedef {import("./clips/clip.js").Clip} Clip */
/** @typedef {import("./clips/pictures.js").Frame} Frame */
/** @typedef {import("./regions.js").Part} Part */

export * from "./errors.js";
export { ClipDecoder } from "./clips/decoder.js";
export { Playback } from "./clips/playback.js";
export { Renderings } from "./clips/renderings.js";
export { Curve } from "./codec/curve.js";
export { Decoder } from "./codec/decoder.js";
export { Decoding } from "./decoding.js";
export { loadDenoiser } from "./denoiser.js";
export { published, PublishedFolder } from "./published.js";
export { references } from "./references.js";
export { Regions } from "./regions.js";
export { connect, Sender } from "./sender.js";
export { Delivery } from "./delivery.js";
export { PacketLink } from "./packets/link.js";
export { PacketReceiver } from "./packets/receiver.js";

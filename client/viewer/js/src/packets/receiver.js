/**
 * Packets of any streams, in any order, from any number of receivers: what they tell together.
 *
 * @module
 */

import { Kind, parsePacket } from "./grammar.js";
import { Gathered } from "./stream.js";

const MOST_STREAMS = 8;
/** Bytes of pieces and repairs held of one stream. */
const MOST_BYTES = 4 * 2 ** 20;

/**
 * What a packet was good for: "new"; "known", if it tells nothing that is not known already;
 * "station"; "foreign", if it is of another stream than the one wanted, or cannot be of the one that
 * it names; "damaged", if its check failed or it is no packet.
 *
 * @typedef {"new" | "known" | "station" | "foreign" | "damaged"} Outcome
 */

/**
 * Gathers streams from packets that may be lost, repeated and late.
 *
 *     const receiver = new PacketReceiver();
 *     for await (const packet of radio) {
 *       if (receiver.take(packet) !== "new") continue;
 *       picture.assemble(receiver.newest.parts());
 *       show(await picture.render());
 *     }
 *
 * It holds eight streams at most, of 4 MiB each; the one not heard of for longest makes place for
 * another.
 */
export class PacketReceiver {
  /** What is gathered, by the number of the stream; the one last heard of is the last. */
  streams = /** @type {Map<number, Gathered>} */ (new Map());
  /** How many packets there were of each outcome. @type {Record<Outcome, number>} */
  counts = { new: 0, known: 0, station: 0, foreign: 0, damaged: 0 };
  /** What the sender says of itself, as one line. */
  station = "";
  #wanted;

  /** @param {{ wanted?: number | null }} [options] the only stream to gather, by its number */
  constructor({ wanted = null } = {}) {
    this.#wanted = wanted;
  }

  /** The stream last heard of; null before the first. */
  get newest() {
    return [...this.streams.values()].at(-1) ?? null;
  }

  /**
   * Take a packet, and return what it was good for.  Never throws, whatever the bytes.
   *
   * @param {Uint8Array} data
   * @returns {Outcome}
   */
  take(data) {
    const outcome = this.#taken(data);
    this.counts[outcome] += 1;
    return outcome;
  }

  /** @param {Uint8Array} data @returns {Outcome} */
  #taken(data) {
    const packet = parsePacket(data);
    if (!packet) return "damaged";
    if (packet.kind === Kind.STATION) {
      const said = new TextDecoder().decode(packet.body);
      this.station = said.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");
      return "station";
    }
    if (this.#wanted !== null && packet.stream !== this.#wanted) return "foreign";
    const known = this.streams.get(packet.stream);
    if (known && known.size !== data.length) return "foreign";
    const stream = known ?? new Gathered(packet.stream, data.length, MOST_BYTES);
    this.streams.delete(packet.stream);
    this.streams.set(packet.stream, stream);
    for (const oldest of this.streams.keys()) {
      if (this.streams.size <= MOST_STREAMS) break;
      this.streams.delete(oldest);
    }
    return stream.take(packet) ? "new" : "known";
  }
}

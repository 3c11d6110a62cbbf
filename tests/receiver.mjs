// Receives streams from a sender, as told in JSON on the command line, and prints what came of it.

import { connect } from "../client/viewer/js/src/index.js";

const { url, streams, draw } = JSON.parse(process.argv[2]);
const said = [];
const sender = connect(url, {
  onStatus: (status, error) => said.push(error ? `${status}: ${error.message}` : status),
  // The waits between attempts are for people.
  draw: () => draw ?? 0,
});

async function received({ name, held, stop, ...options }) {
  const delivery = sender.open(name, { held: Buffer.from(held ?? "", "hex"), ...options });
  const pieces = [];
  let stoppedAt = null;
  try {
    for await (const piece of delivery) {
      pieces.push(piece);
      if (stop && stoppedAt === null && delivery.length >= stop) {
        stoppedAt = delivery.length;
        delivery.stop();
      }
    }
    return { ...(await delivery.ended), stoppedAt, bytes: Buffer.concat(pieces).toString("hex") };
  } catch ({ name, code, message }) {
    return { error: name, code, message };
  }
}

const [names, ...results] = await Promise.all([sender.catalogue(), ...streams.map(received)]);
const { received: wire, roundTrip, connections } = sender.statistics();
sender.close();
console.log(
  JSON.stringify({
    names: names.map(({ name }) => name),
    results,
    said,
    wire,
    roundTrip,
    connections,
  }),
);

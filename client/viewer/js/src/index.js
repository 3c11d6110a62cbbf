/**
 * The receiver of diffc-stream in JavaScript: for browsers, and for Node.
 *
 * @module
 */

export {
  AddressError,
  LinkLost,
  LocalProtocolError,
  PeerError,
  RemoteProtocolError,
  SenderLeaving,
  SessionError,
  UnknownImage,
} from "./errors.js";
export { connect, Sender } from "./sender.js";
export { Delivery } from "./delivery.js";

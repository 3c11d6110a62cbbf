/**
 * The receiver of diffc-stream in JavaScript: for browsers, and for Node.
 *
 * @module
 */

export {};

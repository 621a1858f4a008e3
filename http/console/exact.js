// JSON whose whole numbers keep all their digits: JavaScript's own parser rounds those beyond 2^53.

const LONG = /\d{16}/; // a cheap look first: nearly no text has such a number

/**
 * Parse a JSON text. A whole number that JavaScript cannot hold becomes a value that JSON.stringify writes as it was; with
 * `all` every number does that would be written in another way, such as 1.0: what is sent back is what came.
 */
export function parseExactly(text, { all = false } = {}) {
  if (all && typeof JSON.rawJSON === "function") {
    return JSON.parse(text, (_name, value, context) =>
      typeof value === "number" && JSON.stringify(value) !== context.source ? JSON.rawJSON(context.source) : value,
    );
  }
  if (!LONG.test(text) || typeof JSON.rawJSON !== "function") return JSON.parse(text);
  return JSON.parse(text, (_name, value, context) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context.source) ? JSON.rawJSON(context.source) : value,
  );
}

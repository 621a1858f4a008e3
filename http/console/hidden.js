// What a page would not show as it is: characters of no width, and those that change the direction of what follows.

const HIDDEN = /(?!\n|\t|\r\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const NOT_ASCII = /[^\x00-\x7f]/gu;

/** Return a text with such characters written as JSON escapes them; with `ascii` whatever is not ASCII, letters that look alike too. */
export function visible(text, { ascii = false } = {}) {
  const seen = text.replace(HIDDEN, escaped);
  return ascii ? seen.replace(NOT_ASCII, escaped) : seen;
}

/** The same of a value as JSON, which stays JSON of that value. */
export function visibleJson(value, { ascii = false, indent = 2 } = {}) {
  return visible(JSON.stringify(value ?? null, null, indent), { ascii });
}

function escaped(character) {
  return [...Array(character.length).keys()].map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`).join("");
}

/** Every word the box says: English is built in, and the campaign's answer brings the rest. */

import EN from "../../schemas/texts/widget.en.json" with { type: "json" };

/**
 * @param {Partial<Texts>} [differing] the texts that differ from the built-in English
 * @returns {Say}
 */
export function textsWith(differing) {
  const texts = /** @type {Texts} */ ({ ...EN, ...differing });
  // As in the texts' other home, the server's pages, a doubled brace is a brace.
  return (key, values = {}) =>
    texts[key].replace(/{(\w+)}|([{}])\2/g, (_, name, brace) => brace ?? String(values[name] ?? ""));
}

/**
 * Names the exact words a reader agreed to, so that the record of consent changes when they do (FNV-1a).
 * @param {string} lang
 * @param {string} words
 */
export function versionOf(lang, words) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(words)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `${lang}-${hash.toString(16).padStart(8, "0")}`;
}

/** The texts of the widget: a few are built in, in English, and the campaign's response brings the rest. */

import EN from "../../schemas/texts/widget.en.json" with { type: "json" };

/**
 * @param {Partial<Texts>} [overrides] the texts that differ from the built-in English
 * @returns {Translate}
 */
export function createTranslator(overrides) {
  const texts = /** @type {Texts} */ ({ ...EN, ...overrides });
  // A doubled brace stands for one brace, as in Python's str.format on the server. A text of the service is no key.
  return (key, values = {}) =>
    (texts[key] ?? key).replace(/{(\w+)}|([{}])\2/g, (_, name, brace) => brace ?? String(values[name] ?? ""));
}

/**
 * Identifies the exact consent text, so that the recorded version changes with the text or its language (FNV-1a).
 * @param {string} lang
 * @param {string} text
 */
export function consentVersion(lang, text) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `${lang}-${hash.toString(16).padStart(8, "0")}`;
}

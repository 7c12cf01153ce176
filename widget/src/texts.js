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

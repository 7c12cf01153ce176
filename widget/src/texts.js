/** The texts of the widget: a few are built in, in English, and the campaign's response brings the rest. */

import { textDirection } from "./language.js";
import EN from "../../schemas/texts/widget.en.json" with { type: "json" };

/**
 * A text with a number has a key for each plural form of its language, such as `try_again_in_few`. The caller gives the
 * key without the form, and the number as `count`.
 * @param {Partial<Texts>} [overrides] the texts that differ from the built-in English; a part may add its own later
 * @param {string} [lang] the language of the overrides, a BCP 47 tag
 * @returns {Translate}
 */
export function createTranslator(overrides = {}, lang = "en") {
  // The built-in texts fill the gaps of an object that a part may still add to.
  const texts = /** @type {Record<string, string> & { __proto__: any }} */ (overrides);
  texts.__proto__ = EN;
  const rules = new Intl.PluralRules(lang);
  // First strong isolate and its end: a Latin name must not change places with the full stop beside it.
  const [start, end] = textDirection(lang) === "rtl" ? "\u2068\u2069" : ["", ""];
  // A doubled brace stands for one brace, as in Python's str.format on the server. A text of the service is no key.
  return (key, values = {}) =>
    (texts[key] ?? texts[`${key}_${rules.select(+values.count)}`] ?? key).replace(
      /{(\w+)}|([{}])\2/g,
      (_, name, brace) => brace ?? start + String(values[name] ?? "") + end,
    );
}

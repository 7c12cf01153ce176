/** Parses and formats amounts in one currency and locale, as integer minor units and never as floats. */

import { createReader } from "./amount.js";
import { textDirection } from "./language.js";

/** @typedef {ReturnType<typeof createMoney>} Money */

/**
 * @param {string} currency an ISO 4217 code
 * @param {string} lang a BCP 47 tag
 * @param {number} exponent the currency's decimals as the service counts them
 * @param {number} [step] the smallest chargeable amount in minor units
 */
export function createMoney(currency, lang, exponent, step) {
  const reader = createReader(currency, lang, exponent, step);
  const [wholeFormat, decimalFormat] = [0, exponent].map(
    (minimumFractionDigits) =>
      // European digits in every language, as the service's pages and emails have them.
      new Intl.NumberFormat(lang, {
        style: "currency",
        currency,
        numberingSystem: "latn",
        minimumFractionDigits,
        maximumFractionDigits: exponent,
      }),
  );

  return {
    symbol: reader.symbol,
    /** Whether the locale writes the symbol before the number. */
    isSymbolFirst: wholeFormat.formatToParts(1).find(({ type }) => type !== "literal")?.type !== "integer",

    /** Formats without decimals if they are all zero. @param {number} minor */
    format: (minor) => {
      // A numeric string keeps the amount exact.
      const text = (minor % 10 ** exponent ? decimalFormat : wholeFormat).format(
        /** @type {Intl.StringNumericLiteral} */ (`${minor}e-${exponent}`),
      );
      // A direction mark, without which a right-to-left sentence shows "US$" as "$US".
      return textDirection(lang) === "rtl" ? text.replace(/[A-Z][$£¥]$/, "$&\u200e") : text;
    },

    /** Returns an amount that a reader typed, in minor units; NaN if the locale does not write amounts so. @param {string} text */
    parse: (text) => reader.read(reader.bare(text)),
  };
}

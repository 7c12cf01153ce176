/** Parses and formats amounts in one currency and locale, as integer minor units and never as floats. */

import { textDirection } from "./language.js";

/** Digits with a thousands separator of any locale, and an optional decimal part. */
const GROUPED = /^(\d{1,3}(?:[.,'’٬\s]\d{3})+)(?:[.,٫](\d{1,3}))?$/;
const DECIMAL = /^(\d+)[.,٫](\d+)$/;

/**
 * Also strips the direction marks that surround symbols in right-to-left locales, and reads Arabic and Persian digits.
 * @param {string} text
 */
const normalize = (text) =>
  text
    .normalize("NFKC")
    .replace(/\p{Cf}/gu, "")
    .replace(/[٠-٩۰-۹]/g, (digit) => String(digit.charCodeAt(0) & 15))
    .trim()
    .toLowerCase();

/** @typedef {ReturnType<typeof createMoney>} Money */

/**
 * @param {string} currency an ISO 4217 code
 * @param {string} lang a BCP 47 tag
 * @param {number} exponent the currency's decimals as the service counts them; browsers differ for a few currencies
 * @param {number} step the smallest chargeable amount in minor units, a power of ten: 10 leaves a dinar two decimals
 */
export function createMoney(currency, lang, exponent, step = 1) {
  const decimals = exponent + 1 - String(step).length;
  /** @param {Intl.NumberFormatOptions} [options] */
  const createFormat = (options) =>
    // European digits in every language, as the service's pages and emails have them.
    new Intl.NumberFormat(lang, { style: "currency", currency, numberingSystem: "latn", ...options });
  /** @param {Intl.NumberFormatPartTypes} type @param {Intl.NumberFormatOptions} [options] */
  const formatPart = (type, options) =>
    createFormat(options).formatToParts(1).find((part) => part.type === type)?.value ?? "";
  const [wholeFormat, decimalFormat] = [0, exponent].map((minimumFractionDigits) =>
    createFormat({ minimumFractionDigits, maximumFractionDigits: exponent }),
  );
  const symbol = formatPart("currency", { currencyDisplay: "narrowSymbol" });
  const symbols = [currency, formatPart("currency"), symbol].map(normalize);
  const separator = formatPart("decimal", { style: "decimal", minimumFractionDigits: 1 });
  const localDigits = [...createFormat({ style: "decimal", useGrouping: false, numberingSystem: undefined }).format(
    9876543210,
  )].reverse();
  const accepted = new RegExp(`^(\\d+)${decimals ? `(?:\\${separator}(\\d{1,${decimals}}))?` : ""}$`);

  /** Writes an amount that the parser accepts. @param {string} whole @param {string} [fraction] */
  const example = (whole, fraction) =>
    decimals && fraction ? whole + separator + fraction.padEnd(decimals, "0").slice(0, decimals) : whole;

  /** @param {string} [whole] @param {string} [fraction] @returns {FieldError} */
  const parseError = (whole = "500", fraction = "") => ({
    errorKey: "amount_invalid",
    values: { example: example(whole, fraction) },
  });

  return {
    symbol,
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

    /**
     * Accepts only unambiguous amounts: "1.000" means one thousand in some locales and one in others, so it is an error
     * with an example of what to type.
     * @param {string} text
     * @returns {ParsedAmount}
     */
    parse(text) {
      let plain = normalize(localDigits.reduce((ascii, digit, value) => ascii.replaceAll(digit, String(value)), text)).replace("٫", separator);
      const affix = symbols.find((symbol) => plain.startsWith(symbol) || plain.endsWith(symbol));
      if (affix) plain = plain.replace(affix, "").trim();
      if (!plain) return { errorKey: "amount_missing" };

      const [, whole, fraction = ""] = accepted.exec(plain) ?? [];
      // A number above 2^53 loses precision here, and every campaign's maximum rejects it.
      if (whole) return { minor: Number(whole + fraction.padEnd(exponent, "0")) };

      const [, units, rest = ""] = DECIMAL.exec(plain) ?? [];
      if (units && rest.length <= decimals && rest.length !== 3)
        return parseError(units, rest);
      const [, thousands, cents] = GROUPED.exec(plain) ?? [];
      // If step rules out the last decimal, three digits after the separator are decimals and not a group.
      if (thousands && (step < 2 || rest.length !== exponent))
        return parseError(thousands.replace(/\D/g, ""), cents);
      return decimals ? parseError("7", "5") : parseError(units);
    },
  };
}

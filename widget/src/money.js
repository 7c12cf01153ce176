/** Reads and writes amounts in one currency and one language, in integer minor units and never in floats. */

const MARKS_BETWEEN_THOUSANDS = String.raw`[.,'’٬\s]`;
const GROUPED = new RegExp(`^\\d{1,3}(?:${MARKS_BETWEEN_THOUSANDS}\\d{3})+(?:[.,٫]\\d{1,3})?$`);
const WITH_A_FRACTION = /^(\d+)[.,٫](\d+)$/;

/** Direction marks surround symbols in right-to-left languages and mean nothing in an amount. */
const DIRECTION_MARKS = /[\u200e\u200f\u061c]/g;

/** @param {string} text */
const tidy = (text) => text.normalize("NFKC").replace(DIRECTION_MARKS, "").trim().toLowerCase();

/** @typedef {ReturnType<typeof moneyIn>} Money */

/**
 * @param {string} currency an ISO 4217 code
 * @param {string} lang a BCP 47 tag
 * @param {number} [exponent] the currency's decimals as the service counts them; browsers differ on a few
 */
export function moneyIn(currency, lang, exponent) {
  /** @param {Intl.NumberFormatOptions} [options] */
  const formatter = (options) => new Intl.NumberFormat(lang, { style: "currency", currency, ...options });
  const digits = exponent ?? formatter().resolvedOptions().maximumFractionDigits ?? 2;
  const partsOfOne = formatter().formatToParts(1);
  /** @type {("symbol" | "narrowSymbol" | "code")[]} */
  const displays = ["code", "symbol", "narrowSymbol"];
  const symbols = displays.map(
    (currencyDisplay) =>
      formatter({ currencyDisplay }).formatToParts(1).find((part) => part.type === "currency")?.value ?? currency,
  );
  const decimal =
    new Intl.NumberFormat(lang, { minimumFractionDigits: 1 }).formatToParts(1).find((part) => part.type === "decimal")
      ?.value ?? ".";
  const numerals = [...new Intl.NumberFormat(lang, { useGrouping: false }).format(9876543210)].reverse();
  const accepted = new RegExp(`^(\\d+)${digits ? `(?:\\${decimal}(\\d{1,${digits}}))?` : ""}$`);

  /** @param {string} whole @param {string} [fraction] */
  const example = (whole, fraction = "") => whole + (fraction && decimal + fraction.padEnd(digits, "0"));

  /** @param {string} text */
  const digitsOf = (text) => {
    let plain = tidy([...text].map((sign) => (numerals.includes(sign) ? numerals.indexOf(sign) : sign)).join(""));
    const symbol = symbols.map(tidy).find((sign) => plain.startsWith(sign) || plain.endsWith(sign));
    if (symbol) plain = plain.startsWith(symbol) ? plain.slice(symbol.length) : plain.slice(0, -symbol.length);
    return plain.trim();
  };

  return {
    /** The sign readers know the currency by, and whether this language writes it before the number. */
    symbol: symbols[2],
    symbolLeads: partsOfOne[0].type !== "integer",

    /** @param {number} minor @returns {string} the amount as this language writes it, without empty cents */
    format(minor) {
      const padded = String(minor).padStart(digits + 1, "0");
      const point = padded.length - digits;
      const isWhole = !Number(padded.slice(point));
      const written = /** @type {Intl.StringNumericLiteral} */ (`${padded.slice(0, point)}.${padded.slice(point)}0`);
      return formatter({ minimumFractionDigits: isWhole ? 0 : digits, maximumFractionDigits: digits }).format(written);
    },

    /**
     * Takes what can only mean one amount, and refuses the rest with a hint: "1.000" is a thousand to one
     * reader and one to another, so it is never guessed.
     * @param {string} text
     * @returns {Reading}
     */
    read(text) {
      const plain = digitsOf(text);
      const [, whole, fraction = ""] = accepted.exec(plain) ?? [];
      // An absurdly long number is held at the largest exact integer; the campaign's maximum refuses it.
      if (whole) return { minor: Math.min(Number(whole + fraction.padEnd(digits, "0")), Number.MAX_SAFE_INTEGER) };
      if (!plain) return { refusal: "amount_missing" };

      const [, units, rest = ""] = WITH_A_FRACTION.exec(plain) ?? [];
      if (units && rest.length <= digits && rest.length !== 3)
        return { refusal: "amount_wrong_separator", values: { example: example(units, rest) } };
      if (GROUPED.test(plain)) {
        const [, thousands, cents] = /^(.*\D\d{3})(?:\D(\d{1,2}))?$/.exec(plain) ?? [plain, plain];
        return {
          refusal: "amount_has_grouping",
          values: { example: example(thousands.replace(/\D/g, ""), digits ? cents : "") },
        };
      }
      if (!digits && units) return { refusal: "amount_whole_only", values: { example: units } };
      return {
        refusal: units ? "amount_too_many_decimals" : "amount_not_a_number",
        values: { digits, example: digits ? example("7", "5") : "500" },
      };
    },
  };
}

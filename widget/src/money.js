/** Reads and writes amounts in one currency and one language, in integer minor units and never in floats. */

/** Thousands between marks of any language, and what may be a fraction behind them. */
const GROUPED = /^(\d{1,3}(?:[.,'’٬\s]\d{3})+)(?:[.,٫](\d{1,3}))?$/;
const WITH_A_FRACTION = /^(\d+)[.,٫](\d+)$/;

/** Without direction marks, which surround symbols in right-to-left languages. @param {string} text */
const tidy = (text) => text.normalize("NFKC").replace(/\p{Cf}/gu, "").trim().toLowerCase();

/** @typedef {ReturnType<typeof moneyIn>} Money */

/**
 * @param {string} currency an ISO 4217 code
 * @param {string} lang a BCP 47 tag
 * @param {number} digits the currency's decimals as the service counts them; browsers differ on a few
 * @param {number} step 1, or the power of ten that can be charged in the currency: 10 leaves dinars two decimals
 */
export function moneyIn(currency, lang, digits, step = 1) {
  const places = digits + 1 - String(step).length;
  /** @param {Intl.NumberFormatOptions} [options] */
  const formatter = (options) => new Intl.NumberFormat(lang, { style: "currency", currency, ...options });
  /** @param {Intl.NumberFormatPartTypes} type @param {Intl.NumberFormatOptions} [options] */
  const signOf = (type, options) => formatter(options).formatToParts(1).find((part) => part.type === type)?.value ?? "";
  const [short, full] = [0, digits].map((minimumFractionDigits) =>
    formatter({ minimumFractionDigits, maximumFractionDigits: digits }),
  );
  const symbol = signOf("currency", { currencyDisplay: "narrowSymbol" });
  const symbols = [currency, signOf("currency"), symbol].map(tidy);
  const decimal = signOf("decimal", { style: "decimal", minimumFractionDigits: 1 });
  const numerals = [...formatter({ style: "decimal", useGrouping: false }).format(9876543210)].reverse();
  const accepted = new RegExp(`^(\\d+)${places ? `(?:\\${decimal}(\\d{1,${places}}))?` : ""}$`);

  /** An amount written as it is taken. @param {string} whole @param {string} [fraction] */
  const example = (whole, fraction) =>
    places && fraction ? whole + decimal + fraction.padEnd(places, "0").slice(0, places) : whole;

  /** @param {keyof Texts} refusal @param {string} [whole] @param {string} [fraction] @returns {Refusal} */
  const refuse = (refusal, whole = "500", fraction = "") => ({
    refusal,
    blanks: { digits: places, example: example(whole, fraction) },
  });

  return {
    /** The sign readers know the currency by, and whether this language writes it before the number. */
    symbol,
    symbolLeads: short.formatToParts(1)[0].type !== "integer",

    /** @param {number} minor @returns {string} the amount as this language writes it, without empty cents */
    format: (minor) =>
      // Written out, so that the number is exact.
      (minor % 10 ** digits ? full : short).format(/** @type {Intl.StringNumericLiteral} */ (`${minor}e-${digits}`)),

    /**
     * Takes what can only mean one amount, and refuses the rest with a hint: "1.000" is a thousand to one
     * reader and one to another, so it is never guessed.
     * @param {string} text
     * @returns {Reading}
     */
    read(text) {
      let plain = tidy(numerals.reduce((words, sign, digit) => words.replaceAll(sign, String(digit)), text));
      const sign = symbols.find((sign) => plain.startsWith(sign) || plain.endsWith(sign));
      if (sign) plain = plain.replace(sign, "").trim();
      if (!plain) return { refusal: "amount_missing" };

      const [, whole, fraction = ""] = accepted.exec(plain) ?? [];
      // An absurdly long number is not exact, and far above what any campaign takes.
      if (whole) return { minor: Number(whole + fraction.padEnd(digits, "0")) };

      const [, units, rest = ""] = WITH_A_FRACTION.exec(plain) ?? [];
      if (units && rest.length <= places && rest.length !== 3) return refuse("amount_wrong_separator", units, rest);
      const [, thousands, cents] = GROUPED.exec(plain) ?? [];
      // Where fewer decimals are charged than the currency has, three of them are no thousands.
      if (thousands && (step < 2 || rest.length !== digits))
        return refuse("amount_has_grouping", thousands.replace(/\D/g, ""), cents);
      if (!places) return units ? refuse("amount_whole_only", units) : refuse("amount_not_a_number");
      return refuse(units ? "amount_too_many_decimals" : "amount_not_a_number", "7", "5");
    },
  };
}

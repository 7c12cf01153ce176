/**
 * Reads an amount that a reader typed, by the rules of their locale and without guessing. The service reads amounts in
 * the same way (service/domain/money_input.py); both run the cases of tests/amounts.json.
 */

/** Converts a decimal digit of any script. Unicode has them in runs of ten. @param {string} digit */
function toAscii(digit) {
  let value = 0;
  while (/\p{Nd}/u.test(String.fromCodePoint(/** @type {number} */ (digit.codePointAt(0)) - value - 1))) value++;
  return String(value % 10);
}

/**
 * Returns text in lower case with ASCII digits, ordinary spaces and no direction marks.
 * @param {string} text
 */
const normalize = (text) =>
  text
    .replace(/[\uff00-\uffef]/g, (wide) => wide.normalize("NFKC"))
    .replace(/\p{Nd}/gu, toAscii)
    .replace(/\p{Cf}/gu, "")
    .replace("،", ",")
    .replace(/\s+/g, " ")
    .trim()
    .toLowerCase();

/**
 * @param {string} currency an ISO 4217 code
 * @param {string} lang a BCP 47 tag
 * @param {number} exponent the currency's decimals as the service counts them; browsers differ for a few currencies
 * @param {number} step the smallest chargeable amount in minor units, a power of ten: 10 leaves a dinar two decimals
 */
export function createReader(currency, lang, exponent, step = 1) {
  const decimals = exponent + 1 - String(step).length;
  /** @type {Record<string, string>} */
  const marks = {};
  for (const { type, value } of new Intl.NumberFormat(lang, { numberingSystem: "latn" }).formatToParts(12345.6))
    marks[type] = value;
  /** @param {string} locale @param {"symbol" | "narrowSymbol"} currencyDisplay */
  const symbolIn = (locale, currencyDisplay) =>
    new Intl.NumberFormat(locale, { style: "currency", currency, currencyDisplay })
      .formatToParts(1)
      .find(({ type }) => type === "currency")?.value ?? "";
  const symbol = symbolIn(lang, "narrowSymbol");
  const names = [currency, symbolIn(lang, "symbol"), symbolIn("en", "symbol"), symbolIn("en", "narrowSymbol"), symbol].map(normalize);
  // "CA$" is also written "$", and "$" is also written "US$".
  const signs = names.join("").match(/\p{Sc}/gu) ?? [];
  const symbols = [...names, ...signs.map((sign) => names[0].slice(0, 2) + sign), ...signs];

  const reader = {
    decimals,
    marks,
    symbol,
    symbols,

    /** Removes the currency at either end. @param {string} text */
    bare(text) {
      let plain = normalize(text).replace("٫", marks.decimal);
      const before = symbols.find((name) => plain.startsWith(name)) ?? "";
      plain = plain.slice(before.length);
      const after = symbols.find((name) => plain.endsWith(name)) ?? "";
      return plain.slice(0, plain.length - after.length).trim();
    },

    /**
     * Returns the amount in minor units, or NaN. Spaces and apostrophes separate thousands in every locale.
     * @param {string} bare
     * @param {string} decimal
     * @param {string} group
     */
    read(bare, decimal = marks.decimal, group = marks.group) {
      const [match = "", whole = "", , fraction = ""] =
        new RegExp(
          `^(\\d+|[1-9]\\d{0,2}([ '’٬${group}])(?:\\d{2,3}\\2)*\\d{3})?(?:\\${decimal}(\\d{0,${decimals}}0{0,${exponent - decimals}}))?$`,
        ).exec(bare) ?? [];
      // A number above 2^53 loses precision here, and every campaign's maximum rejects it.
      return /\d/.test(match) ? Number(whole.replace(/\D/g, "") + fraction.padEnd(exponent, "0")) : NaN;
    },
  };
  return reader;
}

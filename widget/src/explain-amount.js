/** Says what is wrong with a chosen amount, and what the reader may have meant. */

import { createReader } from "./amount.js";
import { chosenAmount } from "./choice.js";
import { optionFor } from "./currencies.js";

/**
 * Explains a text that the locale does not write as an amount: an error, or what the reader may have meant.
 * @param {string} text
 * @param {Pick<CurrencyOption, "currency" | "exponent" | "step">} currencyOption
 * @param {string} lang
 * @returns {FieldError | { minor: number, suggestion: string, errorKey?: undefined }} the suggestion is text for the field
 */
export function explainText(text, { currency, exponent, step }, lang) {
  const { bare, decimals, marks, read, symbols } = createReader(currency, lang, exponent, step);
  const { decimal } = marks;
  const other = decimal === "." ? "," : ".";
  const plain = bare(text);
  /** @param {TextKey} errorKey */
  const error = (errorKey) => {
    const example = decimals ? `7${decimal}${"5".padEnd(decimals, "0")}` : "500";
    return { errorKey, values: { count: decimals, currency, example } };
  };
  const tooManyDecimals = () => error(decimals ? "amount_decimals" : "amount_whole");

  if (!plain) return error("amount_missing");
  const signs = plain.match(/\p{Sc}/gu) ?? [];
  const code = /\d/.test(plain) && /^[a-z]{3}(?=[\s\d])|(?<=[\s\d])[a-z]{3}$/.test(plain);
  if (code || signs.some((sign) => !symbols.includes(sign))) return error("amount_currency");
  // One decimal mark of the locale is never a group: "7.555" is not 7,555.
  if (new RegExp(`^\\d*\\${decimal}\\d+$`).test(plain)) return tooManyDecimals();
  const readings = [read(plain, decimal, other), read(plain, other, decimal)].filter((minor) => minor >= 0);
  if (readings.length === 1) {
    const [minor] = readings;
    return { minor, suggestion: writeAmount(minor, exponent, decimal) };
  }
  return /^\d*[.,]\d+$/.test(plain) && !readings.length ? tooManyDecimals() : error("amount_invalid");
}

/** @param {number} minor @param {number} exponent @param {string} decimal */
function writeAmount(minor, exponent, decimal) {
  const digits = String(minor).padStart(exponent + 1, "0");
  const whole = digits.slice(0, digits.length - exponent);
  return minor % 10 ** exponent ? whole + decimal + digits.slice(whole.length) : whole;
}

/**
 * Returns an amount as a reader of the locale types it.
 * @param {number} minor
 * @param {Pick<CurrencyOption, "currency" | "exponent">} currencyOption
 * @param {string} lang
 */
export const fieldText = (minor, { currency, exponent }, lang) =>
  writeAmount(minor, exponent, createReader(currency, lang, exponent).marks.decimal);

/**
 * @param {Pick<Choice, "currencyOption" | "customAmount" | "frequency" | "preset">} choice one whose amount is refused
 * @param {string} lang
 * @returns {FieldError}
 */
export function explainAmount(choice, lang) {
  const { currencyOption, customAmount, frequency } = choice;
  const { minimum, maximum } = optionFor(currencyOption, frequency);
  const { money } = currencyOption;
  const chosen = chosenAmount(choice);
  const { errorKey, minor, ...rest } =
    chosen >= 0 ? { minor: chosen, suggestion: "" } : explainText(customAmount, currencyOption, lang);
  if (errorKey) return { errorKey, ...rest };
  if (minor < minimum) return { errorKey: "amount_below_minimum", values: { limit: money.format(minimum) } };
  if (minor > maximum) return { errorKey: "amount_above_maximum", values: { limit: money.format(maximum) } };
  return { errorKey: "amount_suggested", values: { amount: money.format(minor) }, ...rest };
}

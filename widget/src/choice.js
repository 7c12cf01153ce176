/** What the reader is about to give. */

import { optionFor } from "./currencies.js";

/** @param {Choice} choice */
const optionOf = ({ currencyOption, frequency }) => optionFor(currencyOption, frequency);

/**
 * Says which limit of the campaign an amount crosses, whether the box noticed it or the service did.
 * @param {"amount_below_minimum" | "amount_above_maximum"} refusal
 * @param {Choice} choice
 * @returns {Refusal}
 */
export function outside(refusal, choice) {
  const { minimum, maximum } = optionOf(choice);
  const limit = refusal === "amount_below_minimum" ? minimum : maximum;
  return { refusal, blanks: { limit: choice.currencyOption.money.format(limit) } };
}

/**
 * Reads the chosen amount and holds it against the campaign's limits.
 * @param {Choice} choice
 * @returns {Reading}
 */
export function chosenAmount(choice) {
  const { currencyOption, other, preset } = choice;
  const { minimum, maximum } = optionOf(choice);
  /** @type {Reading} */
  const reading = other.trim() || !preset ? currencyOption.money.read(other) : { minor: preset };
  if (reading.refusal) return reading;
  if (reading.minor < minimum) return outside("amount_below_minimum", choice);
  if (reading.minor > maximum) return outside("amount_above_maximum", choice);
  return reading;
}

/**
 * The choice at an currencyOption in one currency, at a frequency it has: the campaign's suggestion. An amount of the reader's
 * own stays as they wrote it, and all else that they chose.
 * @param {CurrencyOption} currencyOption
 * @param {Frequency} wanted
 */
export function suggestionAt(currencyOption, wanted) {
  const { frequency, default: preset } = optionFor(currencyOption, wanted);
  return { currencyOption, frequency, preset };
}

/** Starts where the campaign suggests. @param {Campaign} campaign @param {CurrencyOption} currencyOption @returns {Choice} */
export const firstChoice = ({ default_frequency, reminder }, currencyOption) => ({
  ...suggestionAt(currencyOption, default_frequency),
  other: "",
  coversFees: false,
  email: "",
  ...reminder.options[0],
});

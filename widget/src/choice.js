/** What the reader is about to give. */

import { termsFor } from "./offers.js";

/** @param {Choice} choice */
const termsOf = ({ offer, frequency }) => termsFor(offer, frequency);

/**
 * Says which limit of the campaign an amount crosses, whether the box noticed it or the service did.
 * @param {"amount_below_minimum" | "amount_above_maximum"} refusal
 * @param {Choice} choice
 * @returns {Refusal}
 */
export function outside(refusal, choice) {
  const { minimum, maximum } = termsOf(choice);
  const limit = refusal === "amount_below_minimum" ? minimum : maximum;
  return { refusal, blanks: { limit: choice.offer.money.format(limit) } };
}

/**
 * Reads the chosen amount and holds it against the campaign's limits.
 * @param {Choice} choice
 * @returns {Reading}
 */
export function chosenAmount(choice) {
  const { offer, other, preset } = choice;
  const { minimum, maximum } = termsOf(choice);
  /** @type {Reading} */
  const reading = other.trim() || !preset ? offer.money.read(other) : { minor: preset };
  if (reading.refusal) return reading;
  if (reading.minor < minimum) return outside("amount_below_minimum", choice);
  if (reading.minor > maximum) return outside("amount_above_maximum", choice);
  return reading;
}

/**
 * The choice at an offer in one currency, at a frequency it has: the campaign's suggestion. An amount of the reader's
 * own stays as they wrote it, and all else that they chose.
 * @param {Offer} offer
 * @param {Frequency} wanted
 */
export function suggestionAt(offer, wanted) {
  const { frequency, default: preset } = termsFor(offer, wanted);
  return { offer, frequency, preset };
}

/** Starts where the campaign suggests. @param {Campaign} campaign @param {Offer} offer @returns {Choice} */
export const firstChoice = ({ default_frequency, reminder }, offer) => ({
  ...suggestionAt(offer, default_frequency),
  other: "",
  coversFees: false,
  email: "",
  ...reminder.options[0],
});

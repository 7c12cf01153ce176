/** What the reader is about to give. */

/**
 * Says which limit of the campaign an amount crosses, whether the box noticed it or the service did.
 * @param {"amount_below_minimum" | "amount_above_maximum"} refusal
 * @param {Terms} terms
 * @param {Money} money
 * @returns {Refusal}
 */
export const outside = (refusal, terms, money) => ({
  refusal,
  values: { limit: money.format(refusal === "amount_below_minimum" ? terms.minimum : terms.maximum) },
});

/**
 * Reads the chosen amount and holds it against the campaign's limits.
 * @param {Choice} choice
 * @param {Terms} terms
 * @param {Money} money
 * @returns {Reading}
 */
export function chosenAmount(choice, terms, money) {
  /** @type {Reading} */
  const reading = choice.other.trim() || !choice.preset ? money.read(choice.other) : { minor: choice.preset };
  if (reading.refusal) return reading;
  if (reading.minor < terms.minimum) return outside("amount_below_minimum", terms, money);
  if (reading.minor > terms.maximum) return outside("amount_above_maximum", terms, money);
  return reading;
}

/** @param {Campaign} campaign @param {Frequency} frequency @returns {Terms} */
export function termsFor({ frequencies }, frequency) {
  return frequencies.find((terms) => terms.frequency === frequency) ?? frequencies[0];
}

/** The presets, and the amount the campaign suggests even when it is none of them. @param {Terms} terms */
export const offeredAmounts = ({ presets, default: suggested }) =>
  [...new Set([...presets, suggested])].sort((one, other) => one - other);

/** Starts where the campaign suggests. @param {Campaign} campaign @returns {Choice} */
export function firstChoice(campaign) {
  const terms = termsFor(campaign, campaign.default_frequency);
  return {
    frequency: terms.frequency,
    preset: terms.default,
    other: "",
    email: "",
    months: campaign.reminder.choices[0],
    repeat: false,
  };
}

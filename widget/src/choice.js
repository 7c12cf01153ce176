/** The reader's current choice of amount, currency, frequency and reminder. */

import { optionFor } from "./currencies.js";

/**
 * Returns the preset, or the amount that the reader typed; NaN if it is not one.
 * @param {Pick<Choice, "currencyOption" | "customAmount" | "preset">} choice
 */
export const chosenAmount = ({ currencyOption, customAmount, preset }) =>
  customAmount.trim() || !preset ? currencyOption.money.parse(customAmount) : preset;

/**
 * Returns the chosen amount if the frequency allows it, in minor units.
 * @param {Pick<Choice, "currencyOption" | "customAmount" | "frequency" | "preset">} choice
 */
export function readAmount(choice) {
  const { minimum, maximum } = optionFor(choice.currencyOption, choice.frequency);
  const minor = chosenAmount(choice);
  return minor >= minimum && minor <= maximum ? minor : undefined;
}

/**
 * Returns the part of a choice that a new currency or frequency resets. The rest, such as a custom amount, stays.
 * @param {CurrencyOption} currencyOption
 * @param {Frequency} requested
 */
export function defaultsFor(currencyOption, requested) {
  const { frequency, default: preset } = optionFor(currencyOption, requested);
  return { currencyOption, frequency, preset };
}

/** @param {Campaign} campaign @param {CurrencyOption} currencyOption @returns {Choice} */
export const initialChoice = ({ default_frequency, reminder }, currencyOption) => ({
  ...defaultsFor(currencyOption, default_frequency),
  customAmount: "",
  coversFees: false,
  email: "",
  ...reminder.options[0],
});

/**
 * Returns the JSON fields that pledges and reminders share.
 * @param {Pick<ViewContext, "campaign" | "choice" | "lang">} context
 * @returns {CommonFields}
 */
export const commonFields = ({ campaign, choice, lang }) => ({
  campaign: campaign.slug,
  frequency: choice.frequency,
  amount: readAmount(choice),
  currency: choice.currencyOption.currency,
  lang,
});

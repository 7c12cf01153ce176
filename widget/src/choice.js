/** The reader's current choice of amount, currency, frequency and reminder. */

import { optionFor } from "./currencies.js";

/** @param {Pick<Choice, "currencyOption" | "frequency">} choice */
const optionOf = ({ currencyOption, frequency }) => optionFor(currencyOption, frequency);

/**
 * Describes the limit that an amount exceeds, whether the widget or the service found it.
 * @param {"amount_below_minimum" | "amount_above_maximum"} errorKey
 * @param {Pick<Choice, "currencyOption" | "frequency">} choice
 * @returns {FieldError}
 */
export function limitError(errorKey, choice) {
  const { minimum, maximum } = optionOf(choice);
  const limit = errorKey === "amount_below_minimum" ? minimum : maximum;
  return { errorKey, values: { limit: choice.currencyOption.money.format(limit) } };
}

/**
 * Parses the chosen amount and checks it against the limits of its frequency.
 * @param {Pick<Choice, "currencyOption" | "customAmount" | "frequency" | "preset">} choice
 * @returns {ParsedAmount}
 */
export function readAmount(choice) {
  const { currencyOption, customAmount, preset } = choice;
  const { minimum, maximum } = optionOf(choice);
  /** @type {ParsedAmount} */
  const parsed = customAmount.trim() || !preset ? currencyOption.money.parse(customAmount) : { minor: preset };
  if (parsed.errorKey) return parsed;
  if (parsed.minor < minimum) return limitError("amount_below_minimum", choice);
  if (parsed.minor > maximum) return limitError("amount_above_maximum", choice);
  return parsed;
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
  amount: readAmount(choice).minor,
  currency: choice.currencyOption.currency,
  // The query and the fragment may hold personal data.
  page_url: /^http/.test(location.href) ? location.origin + location.pathname : undefined,
  lang,
});

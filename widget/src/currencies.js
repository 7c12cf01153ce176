/** The currencies of a campaign: frequencies and amounts in each. */

import { createMoney } from "./money.js";

/**
 * Lists the campaign's own currency first, then the others, each with its parser and formatter.
 * @param {Campaign} campaign
 * @param {string} lang
 * @returns {CurrencyOption[]}
 */
export const currencyOptions = (campaign, lang) =>
  // A response that the browser cached from an older service has no other_currencies.
  [campaign, ...(campaign.other_currencies ?? [])].map((definition) => ({
    ...definition,
    money: createMoney(definition.currency, lang, definition.exponent, definition.step),
  }));

/**
 * Finds the option of a frequency. If the currency lacks it, a recurring frequency falls back to another recurring
 * one, and anything else to the first option.
 * @param {Pick<CurrencyOption, "frequencies">} currencyOption
 * @param {Frequency} requested
 * @returns {PledgeOption}
 */
export function optionFor({ frequencies }, requested) {
  return (
    frequencies.find(({ frequency }) => frequency === requested) ??
    frequencies.find(({ frequency }) => frequency !== "once" && requested !== "once") ??
    frequencies[0]
  );
}

/** Lists the presets and the default amount, which need not be a preset. @param {PledgeOption} option */
export const presetAmounts = ({ presets, default: defaultAmount }) =>
  [...new Set([...presets, defaultAmount])].sort((a, b) => a - b);

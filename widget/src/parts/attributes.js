/** Reads the attributes that choose what a box shows. An invalid value is ignored, and the console names valid ones. */

import { defaultsFor } from "../choice.js";
import { optionFor, presetAmounts } from "../currencies.js";

/** @type {Set<string>} */
const warnings = new Set();

/** @param {string} name @param {string} value @param {string} valid */
function warn(name, value, valid) {
  const warning = `<support-box> ignores ${name}="${value}": use ${valid}`;
  // A box reads its attributes again when one of them changes.
  if (!warnings.has(warning)) console.warn(warning);
  warnings.add(warning);
}

/**
 * Returns the value of an attribute if it is one of those given; undefined without the attribute.
 * @param {Element} host
 * @param {string} name
 * @param {string[]} valid
 */
export function oneOf(host, name, valid) {
  const value = host.getAttribute(name);
  if (!value || valid.includes(value)) return value || undefined;
  warn(name, value, valid.join(", "));
}

/**
 * Returns the whole number of an attribute.
 * @param {Element} host
 * @param {string} name
 * @param {number} minimum
 * @param {number} maximum
 */
export function wholeNumber(host, name, minimum, maximum) {
  const value = host.getAttribute(name);
  if (!value) return;
  if (/^\d+$/.test(value) && +value >= minimum && +value <= maximum) return +value;
  warn(name, value, `a whole number from ${minimum} to ${maximum}`);
}

/**
 * Writes an amount as readers of the language type it.
 * @param {number} minor
 * @param {CurrencyOption} currencyOption
 * @param {string} lang
 */
function typedAmount(minor, { exponent }, lang) {
  const digits = minor % 10 ** exponent ? exponent : 0;
  const options = { useGrouping: false, numberingSystem: "latn", minimumFractionDigits: digits };
  return new Intl.NumberFormat(lang, options).format(minor / 10 ** exponent);
}

/**
 * @param {HTMLElement} host
 * @param {Campaign} campaign
 * @param {CurrencyOption[]} currencies
 * @param {string} lang
 * @returns {ReturnType<Placement["apply"]>}
 */
export function applyAttributes(host, campaign, currencies, lang) {
  oneOf(host, "theme", ["light", "dark"]);
  const code = oneOf(host, "currency", currencies.map(({ currency }) => currency));
  const currencyOption = currencies.find(({ currency }) => currency === code) ?? currencies[0];
  const offered = currencyOption.frequencies.map(({ frequency }) => frequency);
  const frequency = oneOf(host, "frequency", offered) ?? campaign.default_frequency;
  const choice = { ...defaultsFor(currencyOption, /** @type {Frequency} */ (frequency)), customAmount: "" };
  const option = optionFor(currencyOption, choice.frequency);
  const amount = wholeNumber(host, "amount", option.minimum, option.maximum);
  if (amount && amount % currencyOption.step) {
    warn("amount", `${amount}`, `a multiple of ${currencyOption.step}`);
  } else if (amount && presetAmounts(option).includes(amount)) {
    choice.preset = amount;
  } else if (amount) {
    choice.customAmount = typedAmount(amount, currencyOption, lang);
  }
  const isOff = oneOf(host, "reminder", ["off"]);
  const reminder = { ...campaign.reminder, enabled: campaign.reminder.enabled && !isOff };
  return { campaign: { ...campaign, reminder }, choice };
}

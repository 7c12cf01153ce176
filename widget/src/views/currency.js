/** Which currency to give in, where a campaign takes several. */

import { defaultsFor } from "../choice.js";
import { field, make } from "../dom.js";

/**
 * @param {Desk} desk
 * @param {(told: string) => void} onchoice takes what the reader has to be told: that another frequency was chosen,
 *   because the one they wanted is not offered in this currency
 * @returns {Node | string} an empty string where there is nothing to choose
 */
export function currencyField({ choice, lang, currencies, text }, onchoice) {
  const names = new Intl.DisplayNames(lang, { type: "currency" });
  const options = currencies.map((currencyOption) =>
    make("option", { selected: currencyOption === choice.currencyOption }, `${currencyOption.currency} – ${names.of(currencyOption.currency)}`),
  );
  const select = make(
    "select",
    {
      part: "input",
      onchange() {
        const wanted = choice.frequency;
        Object.assign(choice, defaultsFor(currencies[select.selectedIndex], wanted));
        const { frequency, currencyOption } = choice;
        const values = { currency: currencyOption.currency, wanted: text(wanted), frequency: text(frequency) };
        onchoice(frequency === wanted ? "" : text("frequency_changed", values));
      },
    },
    ...options,
  );
  return currencies.length > 1 ? field(text("currency"), select) : "";
}

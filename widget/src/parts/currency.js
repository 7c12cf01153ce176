/** The currency field of a campaign that accepts several. */

import { defaultsFor } from "../choice.js";
import { createElement, labelled } from "../dom.js";

/** @type {OffersPart["currencyField"]} */
export function currencyField({ choice, lang, currencies, text }, onchange) {
  const names = new Intl.DisplayNames(lang, { type: "currency" });
  const options = currencies.map((option) =>
    createElement(
      "option",
      { selected: option === choice.currencyOption },
      `${option.currency} – ${names.of(option.currency)}`,
    ),
  );
  const select = createElement(
    "select",
    {
      part: "input",
      onchange() {
        const previous = choice.frequency;
        Object.assign(choice, defaultsFor(currencies[select.selectedIndex], previous));
        const { frequency, currencyOption } = choice;
        const values = { currency: currencyOption.currency, wanted: text(previous), frequency: text(frequency) };
        onchange(frequency === previous ? "" : text("frequency_changed", values));
      },
    },
    ...options,
  );
  return currencies.length > 1 ? labelled(text("currency"), select) : "";
}

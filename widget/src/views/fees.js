/** The checkbox for covering the processor's fee. It is never checked by default. */

import { createElement } from "../dom.js";

/**
 * @param {ViewContext} context
 * @param {() => void} onchange
 */
export function feesCheckbox({ choice, text }, onchange) {
  const label = new Text();
  const checkbox = createElement("input", {
    type: "checkbox",
    checked: choice.coversFees,
    onchange() {
      choice.coversFees = checkbox.checked;
      onchange();
    },
  });
  const element = createElement("label", { className: "well", part: "fees" }, checkbox, label);
  return {
    element,
    /** @param {number} fees in minor units, 0 while no amount is chosen */
    update(fees) {
      const { cover_fees, money } = choice.currencyOption;
      element.hidden = !cover_fees;
      if (cover_fees) label.data = text(fees ? "cover_fees_of" : "cover_fees", { amount: money.format(fees) });
    },
  };
}

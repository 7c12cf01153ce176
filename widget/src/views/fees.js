/** A tick that lets the reader cover what the processor takes. It is never set before they set it. */

import { make } from "../dom.js";

/**
 * @param {Desk} desk
 * @param {() => void} onchange
 */
export function feesTick({ choice, text }, onchange) {
  const words = new Text();
  const tick = make("input", {
    type: "checkbox",
    checked: choice.coversFees,
    onchange() {
      choice.coversFees = tick.checked;
      onchange();
    },
  });
  const place = make("label", { className: "well", part: "fees" }, tick, words);
  return {
    place,
    /** Says what covering the fees would add. @param {number} fees in minor units, 0 while no amount is chosen */
    follow(fees) {
      const { cover_fees, money } = choice.currencyOption;
      place.hidden = !cover_fees;
      if (cover_fees) words.data = text(fees ? "cover_fees_of" : "cover_fees", { amount: money.format(fees) });
    },
  };
}

/** The fee of the payment processor, and the checkbox for covering it. It is never checked by default. */

import { createElement } from "../dom.js";

/**
 * Computes what the reader adds to cover the processor's fee: the smallest multiple of `step` that leaves the newsroom
 * the whole amount after the fee is taken from the total. The service uses the same formula.
 * @param {number} amount in minor units
 * @param {Pick<CurrencyOption, "cover_fees" | "step">} currencyOption
 * @returns {number} in minor units
 */
export function coveredFees(amount, { cover_fees: feeRate, step }) {
  if (!feeRate) return 0;
  const netRate = BigInt((10_000 - feeRate.basis_points) * step);
  // BigInt division truncates, so adding netRate - 1 rounds up.
  return Number((BigInt(amount + feeRate.fixed) * 10_000n + netRate - 1n) / netRate) * step - amount;
}

/** @type {OffersPart["feesCheckbox"]} */
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
    updateFees(minor) {
      const { cover_fees, money } = choice.currencyOption;
      const fees = minor && coveredFees(minor, choice.currencyOption);
      element.hidden = !cover_fees;
      if (cover_fees) label.data = text(fees ? "cover_fees_of" : "cover_fees", { amount: money.format(fees) });
      return choice.coversFees ? fees : 0;
    },
  };
}

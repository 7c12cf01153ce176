/** What a campaign takes: for each of its currencies the frequencies, the amounts, and what the processor keeps. */

import { moneyIn } from "./money.js";

/**
 * The campaign's own currency first, then the others, each with the means to read and write amounts in it.
 * @param {Campaign} campaign
 * @param {string} lang
 * @returns {Offer[]}
 */
export const offersOf = (campaign, lang) =>
  // An answer that the browser kept from before an update names no others.
  [campaign, ...(campaign.other_currencies ?? [])].map((terms) => ({
    ...terms,
    money: moneyIn(terms.currency, lang, terms.exponent, terms.step),
  }));

/**
 * The terms of a frequency. Where it is not offered, a gift that repeats gives way to another that does, and
 * otherwise to the first there is.
 * @param {Pick<Offer, "frequencies">} offer
 * @param {Frequency} wanted
 * @returns {Terms}
 */
export function termsFor({ frequencies }, wanted) {
  return (
    frequencies.find(({ frequency }) => frequency === wanted) ??
    frequencies.find(({ frequency }) => frequency !== "once" && wanted !== "once") ??
    frequencies[0]
  );
}

/** The presets, and the amount the campaign suggests even when it is none of them. @param {Terms} terms */
export const offeredAmounts = ({ presets, default: suggested }) =>
  [...new Set([...presets, suggested])].sort((one, other) => one - other);

/**
 * What covering the processor's share adds to an amount, in minor units: the least that leaves the newsroom the
 * whole amount once the share is taken from the total, in the steps that can be charged, just as the service counts.
 * @param {number} amount in minor units
 * @param {Pick<Offer, "cover_fees" | "step">} offer
 */
export function feesOn(amount, { cover_fees: share, step }) {
  if (!share) return 0;
  const kept = BigInt((10_000 - share.basis_points) * step);
  // Whole numbers divide downwards, so this rounds up, and in the newsroom's favour.
  return Number((BigInt(amount + share.fixed) * 10_000n + kept - 1n) / kept) * step - amount;
}

/**
 * A campaign that changes while a box is open. If the service refuses what the reader chose, the box loads the campaign
 * anew, says that the choices changed and keeps what still fits.
 */

import { chosenAmount, defaultsFor } from "../choice.js";
import { optionFor, presetAmounts } from "../currencies.js";
import { button, newTabLink } from "../dom.js";
import { fieldText } from "../explain-amount.js";

/** The codes of refusals that depend on what the campaign offers. */
const OFFER_CODE =
  /^(amount_\w+|campaign_(closed|not_found)|(currency_not_accepted|(frequency|reminders|reminder_choice)_not_offered)|origin_not_allowed)$/;

/**
 * Shows today's offer if it is why the service refused a request.
 * @param {CheckoutContext} context
 * @param {ApiResponse} response
 * @param {boolean} [isReminder]
 * @returns {Promise<boolean>} false if the offer is the same, so that the refusal has another reason
 */
export async function showChangedOffer(context, { status, body }, isReminder) {
  // A browser may report a refusal of the page's origin as a lost connection.
  if (status && !OFFER_CODE.test(body.code)) return false;
  const isStillShown = context.watchView();
  const loaded = await context.fetchCampaign("reload");
  if (!isStillShown()) return true;
  if (loaded.response.body.code === "origin_not_allowed") {
    showOtherPage(context);
    return true;
  }
  const [before, today] = [context.campaign, loaded.response.body].map((campaign) => offerOf(campaign, isReminder));
  if (!status || !loaded.offers || before === today) return false;
  const next = context.createContext(loaded);
  next.notice = next.campaign.closed ? "" : describeChange(context.choice, next);
  if (isReminder && next.campaign.reminder.enabled) next.showReminder();
  else next.showPledge();
  return true;
}

/**
 * Returns what a campaign offers, to compare. Its texts are no part of it: those of the reminder are added once they are
 * loaded. Only to a reader who sets a reminder is the reminder a part, because a page may have turned it off.
 * @param {Campaign} campaign
 * @param {boolean} [isReminder]
 */
const offerOf = ({ reminder, ...campaign }, isReminder) =>
  JSON.stringify({ ...campaign, texts: undefined, reminder: isReminder && reminder });

/** Leads to the plain page, because the box may not be used on this one any more. @param {CheckoutContext} context */
function showOtherPage({ campaign, commonFields, lang, showPledge, showView, text }) {
  const { frequency, amount, currency } = commonFields();
  const query = new URLSearchParams({ lang, frequency, amount: `${amount ?? ""}`, currency });
  const href = new URL(`/support/${campaign.slug}?${query}`, import.meta.url).href;
  showView("error", {
    heading: text("error_heading"),
    message: text("error_origin"),
    nodes: [newTabLink(href, text("continue_on_page"), "link"), button("link", text("back"), showPledge)],
  });
}

/**
 * Keeps what still fits of the reader's choice, and returns the message about what changed.
 * @param {Choice} old
 * @param {CheckoutContext} next
 */
function describeChange(old, { campaign, choice, currencies, lang, text }) {
  const notice = text("offer_changed");
  const { currency } = old.currencyOption;
  const currencyOption = currencies.find((option) => option.currency === currency);
  const { options, pick_date } = campaign.reminder;
  const reminder = options.find(({ months, repeat }) => months === old.months && repeat === old.repeat);
  Object.assign(choice, reminder, { email: old.email });
  if (pick_date) Object.assign(choice, { picksDay: old.picksDay, day: old.day });
  if (!currencyOption) return notice;
  Object.assign(choice, defaultsFor(currencyOption, old.frequency), { coversFees: old.coversFees });
  const option = optionFor(currencyOption, choice.frequency);
  const amount = chosenAmount(old);
  if (choice.frequency !== old.frequency || !amount) return notice;
  const { minimum, maximum } = option;
  const { money } = currencyOption;
  if (amount < minimum) return `${notice} ${text("amount_below_minimum", { limit: money.format(minimum) })}`;
  if (amount > maximum) return `${notice} ${text("amount_above_maximum", { limit: money.format(maximum) })}`;
  if (presetAmounts(option).includes(amount)) choice.preset = amount;
  else choice.customAmount = fieldText(amount, currencyOption, lang);
  return notice;
}

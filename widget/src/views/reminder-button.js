/** The button that leads to the reminder form, which is loaded once a reader is about to press it. */

import { button } from "../dom.js";

/**
 * @param {ViewContext} context
 * @param {"not_ready" | "remind_me_later"} key
 * @returns {Node | string} an empty string if the campaign offers no reminder
 */
export function reminderButton({ campaign, preloadPart, showReminder, text }, key) {
  if (!campaign.reminder.enabled) return "";
  const element = button("link", text(key), showReminder);
  element.onfocus = element.onpointerenter = () => preloadPart("reminder");
  return element;
}

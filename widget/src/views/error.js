/** What a reader sees when a request failed: what happened, and what they can do now. */

import { button, make } from "../dom.js";

/**
 * Our own words for every response: what the service writes is meant for those who run it, and is always English.
 * @param {ApiResponse} response
 */
function errorTextKey({ status, body }) {
  if (!status) return "error_unreachable";
  if (body.code === "payments_unavailable") return "error_payments";
  return status === 429 || status === 503 ? "error_busy" : "error_unexpected";
}

/**
 * A button that stays shut for as long as the service asked for.
 * @param {Say} text
 * @param {number} seconds seconds
 * @param {() => void} retry
 */
export function retryButton(text, seconds, retry) {
  const element = button("submit", "", retry);
  const countDown = () => {
    element.disabled = seconds > 0;
    element.textContent = seconds > 0 ? text("try_again_in", { seconds: seconds-- }) : text("try_again");
    if (element.disabled) setTimeout(countDown, 1000);
  };
  countDown();
  return element;
}

/**
 * @param {Desk} desk
 * @param {ApiResponse} response
 * @param {() => void} goBack
 * @param {() => void} retry
 * @returns {View}
 */
export function errorView({ campaign, showPledge, showReminder, text }, response, goBack, retry) {
  const textKey = errorTextKey(response);
  // Who cannot pay now is not asked whether they are ready to.
  const reminderKey = textKey === "error_payments" ? "remind_me_later" : "not_ready";
  return {
    heading: text("error_heading"),
    message: text(textKey) + (goBack === showPledge ? ` ${text("error_not_charged")}` : ""),
    nodes: [
      retryButton(text, response.retryAfterSeconds, () => {
        goBack();
        retry();
      }),
      button("link", text("back"), goBack),
      campaign.reminder.enabled && goBack !== showReminder ? button("link", text(reminderKey), showReminder) : "",
    ],
  };
}

/**
 * What stands in for the box until its campaign has come: the newsroom's own link.
 * @param {string} message
 * @param {...Node} nodes
 * @returns {View}
 */
export const fallbackView = (message, ...nodes) => ({ message, nodes: [make("slot"), ...nodes] });

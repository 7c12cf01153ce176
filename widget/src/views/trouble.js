/** What a reader sees when a request failed: what happened, and what they can do now. */

import { button, make } from "../dom.js";

/**
 * Our own words for every response: what the service writes is meant for those who run it, and is always English.
 * @param {ApiResponse} response
 */
function explanation({ status, body }) {
  if (!status) return "error_unreachable";
  if (body.code === "payments_unavailable") return "error_payments";
  return status === 429 || status === 503 ? "error_busy" : "error_unexpected";
}

/**
 * A button that stays shut for as long as the service asked for.
 * @param {Say} text
 * @param {number} wait seconds
 * @param {() => void} retry
 */
export function retryButton(text, wait, retry) {
  const again = button("submit", "", retry);
  const count = () => {
    again.disabled = wait > 0;
    again.textContent = wait > 0 ? text("try_again_in", { seconds: wait-- }) : text("try_again");
    if (again.disabled) setTimeout(count, 1000);
  };
  count();
  return again;
}

/**
 * @param {Desk} desk
 * @param {ApiResponse} response
 * @param {() => void} goBack
 * @param {() => void} retry
 * @returns {View}
 */
export function troubleView({ campaign, showPledge, showReminder, text }, response, goBack, retry) {
  const why = explanation(response);
  // Who cannot pay now is not asked whether they are ready to.
  const later = why === "error_payments" ? "remind_me_later" : "not_ready";
  return {
    heading: text("error_heading"),
    message: text(why) + (goBack === showPledge ? ` ${text("error_not_charged")}` : ""),
    nodes: [
      retryButton(text, response.retryAfterSeconds, () => {
        goBack();
        retry();
      }),
      button("link", text("back"), goBack),
      campaign.reminder.enabled && goBack !== showReminder ? button("link", text(later), showReminder) : "",
    ],
  };
}

/**
 * What stands in for the box until its campaign has come: the newsroom's own link.
 * @param {string} message
 * @param {...Node} nodes
 * @returns {View}
 */
export const waitingView = (message, ...nodes) => ({ message, nodes: [make("slot"), ...nodes] });

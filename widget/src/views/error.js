/** The views of a failed request and of a campaign that is not loaded. */

import { button, createElement } from "../dom.js";
import { reminderButton } from "./reminder-button.js";

/**
 * Maps a response to a text of the widget. The service's own `detail` is English and meant for operators.
 * @param {ApiResponse} response
 */
function errorTextKey({ status, body }) {
  if (!status) return "error_unreachable";
  if (body.code === "payments_unavailable") return "error_payments";
  return status === 429 || status === 503 ? "error_busy" : "error_unexpected";
}

/**
 * Creates a button that stays disabled for the seconds in Retry-After. It counts them down, and longer waits in minutes.
 * @param {Translate} text
 * @param {number} seconds
 * @param {() => void} retry
 */
export function retryButton(text, seconds, retry) {
  const element = button("submit", "", retry);
  const countDown = () => {
    const unit = seconds < 120 ? "" : "_minutes";
    element.disabled = seconds > 0;
    element.textContent = text(element.disabled ? `try_again_in${unit}` : "try_again", {
      count: unit ? Math.ceil(seconds / 60) : seconds,
    });
    seconds--;
    if (element.disabled) setTimeout(() => element.isConnected && countDown(), 1000);
  };
  countDown();
  return element;
}

/**
 * @param {ViewContext} context
 * @param {ApiResponse} response
 * @param {() => void} goBack
 * @param {() => void} retry
 * @param {Node} [link] another way to what the reader wanted
 * @returns {View}
 */
export function errorView(context, response, goBack, retry, link) {
  const { showPledge, text } = context;
  const isPledge = goBack === showPledge;
  const textKey = errorTextKey(response);
  // "Not ready to support today?" does not fit a reader who cannot pay now.
  const reminderKey = textKey === "error_payments" ? "remind_me_later" : "not_ready";
  return {
    heading: text("error_heading"),
    message: text(textKey) + (isPledge ? ` ${text("error_not_charged")}` : ""),
    nodes: [
      retryButton(text, response.retryAfterSeconds, () => {
        goBack();
        retry();
      }),
      button("link", text("back"), goBack),
      link ?? (isPledge ? reminderButton(context, reminderKey) : ""),
    ],
  };
}

/**
 * Shows the newsroom's own link, from the default slot, until the campaign is loaded.
 * @param {string} message
 * @param {...Node} nodes
 * @returns {View}
 */
export const fallbackView = (message, ...nodes) => ({ message, nodes: [" ", createElement("slot"), ...nodes] });

/** Submits pledges, and leads the reader to the checkout. */

import { readAmount } from "../choice.js";
import { button, createElement } from "../dom.js";
import { explainAmount } from "../explain-amount.js";
import { showChangedOffer } from "./changed-offer.js";
import { createKeyStore } from "./idempotency.js";
import { pageUrl } from "./page-url.js";
import { createReturnUrl } from "./return-url.js";

const MAX_IN_PROGRESS_RETRIES = 5;

/**
 * Returns the newsroom's name for what the reader saw. One that the service does not take must not stop a pledge.
 * @param {HTMLElement} host
 */
function readVariant(host) {
  const variant = host.getAttribute("variant") ?? "";
  if (/^[\w.-]{1,64}$/.test(variant)) return variant;
  if (variant) console.warn(`<support-box> goes without variant="${variant}": use letters, digits, ". _ -"`);
}

/**
 * Opens a page. Firefox throws an exception if the frame's sandbox forbids it, and other browsers return null.
 * @param {string} url
 * @param {string} [target]
 */
function tryToOpen(url, target) {
  try {
    return open(url, target);
  } catch {}
}

/** @param {CheckoutContext} context @returns {Checkout} */
export function createCheckout(context) {
  const { choice, emit, host, lang, sendRequest, showFieldError, showPledge, text } = context;
  const keyStore = createKeyStore();
  const returnUrl = createReturnUrl(host);

  async function submitPledge() {
    const amount = readAmount(choice);
    if (amount) await sendPledge(amount);
    else showAmountError();
  }

  /** Says beside the field what is wrong, and offers what the reader may have meant. */
  function showAmountError() {
    const error = explainAmount(choice, lang);
    showFieldError(error);
    const { suggestion } = error;
    if (!suggestion) return;
    const field = /** @type {HTMLInputElement} */ (findPart("input#amount"));
    const use = button("link", text("amount_use", error.values), () => {
      field.value = suggestion;
      field.dispatchEvent(new Event("input"));
      findPart("[part=submit]").focus();
    });
    // The message of the next change replaces it.
    findPart("[part=error]").append(use);
  }

  /** @param {string} selector @returns {HTMLElement} */
  const findPart = (selector) => /** @type {any} */ (host.shadowRoot).querySelector(selector);

  /** @param {number} amount in minor units @returns {Promise<void>} */
  async function sendPledge(amount) {
    const return_url = returnUrl.readUrl();
    const body = JSON.stringify({
      ...context.commonFields(),
      page_url: pageUrl(),
      cover_fees: (choice.coversFees && !!choice.currencyOption.cover_fees) || undefined,
      variant: readVariant(host),
      return_url,
    });
    // An exception above must not leave the form disabled, so it is disabled only now.
    context.setBusy(text("submitting"));
    const response = await sendOnce(body);
    if (!response) return;
    const { checkout_url, code, currency, errors, fees, frequency } = response.body;
    // The newsroom set the URL and the reader cannot correct it, so the pledge is sent again without it.
    if (return_url && (code === "return_url_not_allowed" || errors?.return_url)) {
      returnUrl.rejectUrl(errors?.return_url?.[0] ?? code);
      return sendPledge(amount);
    }
    if (!checkout_url) {
      // A rejected request created nothing, so the next one gets a new key.
      if (response.status === 422) keyStore.resetKey();
      if (!(await showChangedOffer(context, response))) context.showError(response, showPledge, context.submitPledge);
      return;
    }
    emit("pledged", { frequency, amount, currency, fees }, response.body.id);
    const { top, window } = globalThis;
    if (top === window) location.assign(checkout_url);
    else leaveFrame(checkout_url);
  }

  /**
   * Sends a pledge, and asks again with the same key while an earlier request with it is still running.
   * @param {string} body
   * @returns {Promise<ApiResponse | undefined>} undefined if the reader closed the box or left the form meanwhile
   */
  async function sendOnce(body) {
    const isStillShown = context.watchView();
    for (let retries = MAX_IN_PROGRESS_RETRIES; ; retries--) {
      const response = await sendRequest("/v1/pledges", body, keyStore.keyForBody(body));
      if (!isStillShown()) return;
      if (response.body.code !== "request_in_progress" || !retries) return response;
      const seconds = Math.min(response.retryAfterSeconds || 1, 5);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      if (!isStillShown()) return;
    }
  }

  /** @param {string} url a page that refuses to be framed */
  function leaveFrame(url) {
    // A sandboxed frame may not lead the top window anywhere, and a browser may block a tab that no click opens.
    tryToOpen(url, "_top") ?? tryToOpen(url);
    // The reader may have paid in the other tab, so Back begins another pledge.
    keyStore.resetKey();
    const link = createElement("a", { href: url, target: "_blank", part: "link" }, text("continue"));
    context.showView("submitting", { nodes: [link, button("link", text("back"), showPledge)] });
  }

  return {
    submitPledge,
    showChangedOffer: (response, isReminder) => showChangedOffer(context, response, isReminder),
    resetKey: keyStore.resetKey,
  };
}

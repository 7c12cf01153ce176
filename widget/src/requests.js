/** Submits pledges, and shows the result. */

import { limitError, readAmount } from "./choice.js";
import { createKeyStore } from "./idempotency.js";
import { createReturnUrl } from "./return-url.js";

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
 * @param {Omit<ViewContext, "commonFields" | "showFieldError" | "submitPledge">} context
 * @param {import("./frame.js").Frame} frame
 * @param {HTMLElement} host
 * @param {SendRequest} sendRequest
 * @param {Emit} emit
 */
export function createRequests(context, frame, host, sendRequest, emit) {
  const { campaign, choice, lang, text } = context;
  const keyStore = createKeyStore();
  const returnUrl = createReturnUrl(host);

  /** Returns the JSON fields that pledges and reminders share. */
  const commonFields = () => ({
    campaign: campaign.slug,
    frequency: choice.frequency,
    amount: readAmount(choice).minor,
    currency: choice.currencyOption.currency,
    // The query and the fragment may hold personal data.
    page_url: /^http/.test(location.href) ? location.origin + location.pathname : undefined,
    lang,
  });

  /** @param {FieldError} error */
  const showFieldError = ({ errorKey, values }) => frame.showFieldError(text(errorKey, values));

  function submitPledge() {
    if (frame.isState("submitting")) return;
    const parsed = readAmount(choice);
    return parsed.errorKey ? showFieldError(parsed) : sendPledge(parsed);
  }

  /** @param {ParsedAmount} parsed @returns {Promise<void>} */
  async function sendPledge(parsed) {
    const return_url = returnUrl.readUrl();
    const body = JSON.stringify({
      ...commonFields(),
      cover_fees: (choice.coversFees && !!choice.currencyOption.cover_fees) || undefined,
      variant: readVariant(host),
      return_url,
    });
    // An exception above must not leave the form disabled, so it is disabled only now.
    frame.setBusy(text("submitting"));
    const response = await sendRequest("/v1/pledges", body, keyStore.keyForBody(body));
    // The reader may have closed the box meanwhile.
    if (!frame.isState("submitting")) return;
    const { checkout_url, code, currency, errors, fees, frequency } = response.body;
    // The newsroom set the URL and the reader cannot correct it, so the pledge is sent again without it.
    if (return_url && (code === "return_url_not_allowed" || errors?.return_url)) {
      returnUrl.rejectUrl(errors?.return_url?.[0] ?? code);
      return sendPledge(parsed);
    }
    if (response.status !== 201) {
      // A rejected request created nothing, so the next one gets a new key.
      if (response.status === 422) keyStore.resetKey();
      if (code !== "amount_below_minimum" && code !== "amount_above_maximum")
        return context.showError(response, context.showPledge, submitPledge);
      context.showPledge();
      return showFieldError(limitError(code, choice));
    }
    emit("pledged", { frequency, amount: parsed.minor, currency, fees });
    const { top, window } = globalThis;
    if (top === window) location.assign(checkout_url);
    else context.leaveFrame(checkout_url);
  }

  return { submitPledge, commonFields, showFieldError, resetKey: keyStore.resetKey };
}

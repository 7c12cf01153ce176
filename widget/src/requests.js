/** Submits pledges and reminders, and shows the result. */

import { limitError, readAmount } from "./choice.js";
import { isEmailAddress } from "./email.js";
import { createKeyStore } from "./idempotency.js";
import { createReturnUrl } from "./return-url.js";
import { consentVersion } from "./texts.js";

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
 * @param {Omit<ViewContext, "submitPledge" | "submitReminder">} context
 * @param {import("./frame.js").Frame} frame
 * @param {HTMLElement} host
 * @param {SendRequest} sendRequest
 * @param {Emit} emit
 */
export function createRequests(context, frame, host, sendRequest, emit) {
  const { campaign, choice, lang, text } = context;
  const keyStore = createKeyStore();
  const returnUrl = createReturnUrl(host);

  /** Returns the JSON fields that pledges and reminders share. @param {ParsedAmount} parsed */
  const commonFields = ({ minor }) => ({
    campaign: campaign.slug,
    frequency: choice.frequency,
    amount: minor,
    currency: choice.currencyOption.currency,
    // The query and the fragment may hold personal data.
    page_url: /^http/.test(location.href) ? location.origin + location.pathname : undefined,
    lang,
  });

  /** @param {FieldError} error */
  const showFieldError = ({ errorKey, values }) => frame.showFieldError(text(errorKey, values));

  /**
   * Shows an error that the reader can correct at its field, and any other in the error view.
   * @param {ApiResponse} response
   * @param {FieldError | false} error
   * @param {() => void} goBack
   * @param {() => void} retry
   */
  function handleFailure(response, error, goBack, retry) {
    // A rejected request created nothing, so the next one gets a new key.
    if (response.status === 422) keyStore.resetKey();
    if (!error) return context.showError(response, goBack, retry);
    goBack();
    showFieldError(error);
  }

  function submitPledge() {
    if (frame.isState("submitting")) return;
    const parsed = readAmount(choice);
    return parsed.errorKey ? showFieldError(parsed) : sendPledge(parsed);
  }

  /** @param {ParsedAmount} parsed @returns {Promise<void>} */
  async function sendPledge(parsed) {
    const return_url = returnUrl.readUrl();
    const body = JSON.stringify({
      ...commonFields(parsed),
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
      const exceedsLimit = code === "amount_below_minimum" || code === "amount_above_maximum";
      return handleFailure(response, exceedsLimit && limitError(code, choice), context.showPledge, submitPledge);
    }
    emit("pledged", { frequency, amount: parsed.minor, currency, fees });
    const { top, window } = globalThis;
    if (top === window) location.assign(checkout_url);
    else context.leaveFrame(checkout_url);
  }

  async function submitReminder() {
    if (frame.isState("submitting")) return;
    if (!isEmailAddress(choice.email)) return showFieldError({ errorKey: choice.email ? "email_invalid" : "email_missing" });
    const { email, months, repeat } = choice;
    const interval = { months, ...(repeat && { repeat }) };
    const body = {
      ...commonFields(readAmount(choice)),
      email,
      ...interval,
      consent_version: consentVersion(lang, text("reminder_consent")),
    };
    /** @param {string} [timezone] */
    const send = (timezone) => sendRequest("/v1/reminders", JSON.stringify({ ...body, timezone }));
    frame.setBusy(text("sending"));
    let response = await send(Intl.DateTimeFormat().resolvedOptions().timeZone);
    // The service may not know the browser's time zone; without one it uses the campaign's.
    if (response.body.errors?.timezone) response = await send();
    if (!frame.isState("submitting")) return;
    if (response.status !== 201) {
      const { code, errors } = response.body;
      const isEmailError = code === "invalid_email" || errors?.email;
      // Which addresses the newsroom's mail server can reach is known to the service alone, so it words that error.
      const errorKey = code === "address_not_supported" ? errors.email[0] : "email_invalid";
      const error = isEmailError && /** @type {FieldError} */ ({ errorKey });
      return handleFailure(response, error, context.showReminder, submitReminder);
    }
    context.showReminderCreated(response.body.due_on);
    emit("reminded", interval);
  }

  return { submitPledge, submitReminder, resetKey: keyStore.resetKey };
}

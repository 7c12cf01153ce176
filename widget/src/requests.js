/** The two things a reader can ask of the service, and where each response leads. */

import { readAmount, limitError } from "./choice.js";
import { createKeyStore } from "./idempotency.js";
import { versionOf } from "./texts.js";
import { createReturnUrl } from "./return-url.js";

/**
 * @param {Omit<Desk, "pledge" | "remind">} desk
 * @param {import("./frame.js").Frame} frame
 * @param {HTMLElement} host
 * @param {SendRequest} sendRequest
 * @param {Tell} tell
 */
export function requestsFrom(desk, frame, host, sendRequest, tell) {
  const { campaign, choice, lang, text } = desk;
  const keyStore = createKeyStore();
  const returnUrl = createReturnUrl(host);

  /** What both requests say: what the reader chose, and where. @param {ParsedAmount} parsed */
  const wish = ({ minor }) => ({
    campaign: campaign.slug,
    frequency: choice.frequency,
    amount: minor,
    currency: choice.currencyOption.currency,
    // The query and the fragment may hold what is the reader's alone.
    page_url: /^http/.test(location.href) ? location.origin + location.pathname : undefined,
    lang,
  });

  /** @param {FieldError} errorKey */
  const refuse = ({ errorKey, values }) => frame.showFieldError(text(errorKey, values));

  /**
   * Puts what the reader can mend beside its field, and anything else where they can try again.
   * @param {ApiResponse} response
   * @param {FieldError | false} errorKey
   * @param {() => void} goBack
   * @param {() => void} retry
   */
  function settle(response, errorKey, goBack, retry) {
    // A refused request made nothing, so the next one is an intent of its own.
    if (response.status === 422) keyStore.resetKey();
    if (!errorKey) return desk.showError(response, goBack, retry);
    goBack();
    refuse(errorKey);
  }

  function pledge() {
    if (frame.isState("submitting")) return;
    const parsed = readAmount(choice);
    return parsed.errorKey ? refuse(parsed) : give(parsed);
  }

  /** @param {ParsedAmount} parsed @returns {Promise<void>} */
  async function give(parsed) {
    const return_url = returnUrl.get();
    const body = JSON.stringify({
      ...wish(parsed),
      cover_fees: (choice.coversFees && !!choice.currencyOption.cover_fees) || undefined,
      variant: host.getAttribute("variant") || undefined,
      return_url,
    });
    // Only now, because a box that is busy before anything is sent would stay busy for ever if the making failed.
    frame.setBusy(text("submitting"));
    const response = await sendRequest("/v1/pledges", body, keyStore.keyFor(body));
    // A reader who closed the box meanwhile does not want to be taken anywhere.
    if (!frame.isState("submitting")) return;
    const { checkout_url, code, currency, errors, fees, frequency } = response.body;
    // The newsroom chose the address, so the gift goes on without it.
    if (return_url && (code === "return_url_not_allowed" || errors?.return_url)) {
      returnUrl.reject(errors?.return_url?.[0] ?? code);
      return give(parsed);
    }
    if (response.status !== 201) {
      const isOutside = code === "amount_below_minimum" || code === "amount_above_maximum";
      return settle(response, isOutside && limitError(code, choice), desk.showPledge, pledge);
    }
    tell("pledged", { frequency, amount: parsed.minor, currency, fees });
    location.assign(checkout_url);
  }

  /** @param {boolean} addressIsWhole whether the browser takes the address for one */
  async function remind(addressIsWhole) {
    if (frame.isState("submitting")) return;
    if (!addressIsWhole) return refuse({ errorKey: choice.email ? "email_invalid" : "email_missing" });
    const { email, months, repeat } = choice;
    const wait = { months, ...(repeat && { repeat }) };
    const hope = {
      ...wish(readAmount(choice)),
      email,
      ...wait,
      consent_version: versionOf(lang, text("reminder_consent")),
    };
    /** @param {string} [timezone] */
    const send = (timezone) => sendRequest("/v1/reminders", JSON.stringify({ ...hope, timezone }));
    frame.setBusy(text("sending"));
    let response = await send(Intl.DateTimeFormat().resolvedOptions().timeZone);
    // A browser may know a zone that the service does not; the campaign's zone is better than no reminder.
    if (response.body.errors?.timezone) response = await send();
    if (!frame.isState("submitting")) return;
    if (response.status !== 201) {
      const { code, errors } = response.body;
      const isAddress = code === "invalid_email" || errors?.email;
      return settle(response, isAddress && { errorKey: "email_invalid" }, desk.showReminder, () => remind(true));
    }
    desk.showReminderCreated(response.body.due_on);
    tell("reminded", wait);
  }

  return { pledge, remind, resetKey: keyStore.resetKey };
}

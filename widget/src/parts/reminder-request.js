/** Submits a reminder. */

import { consentVersion } from "./consent.js";
import { isEmailAddress } from "./email.js";

/**
 * @param {PartContext} context
 * @param {() => void} showForm
 * @param {(dueOn: string) => void} showCreated takes a date, YYYY-MM-DD
 * @returns {() => Promise<void>}
 */
export function createReminderRequest(context, showForm, showCreated) {
  const { choice, lang, sendRequest, text } = context;

  return async function submit() {
    if (context.isState("submitting")) return;
    const { email, months, repeat } = choice;
    if (!isEmailAddress(email)) return context.showFieldError({ errorKey: email ? "email_invalid" : "email_missing" });
    const interval = { months, ...(repeat && { repeat }) };
    const body = {
      ...context.commonFields(),
      email,
      ...interval,
      consent_version: consentVersion(lang, text("reminder_consent")),
    };
    /** @param {string} [timezone] */
    const send = (timezone) => sendRequest("/v1/reminders", JSON.stringify({ ...body, timezone }));
    context.setBusy(text("sending"));
    let response = await send(Intl.DateTimeFormat().resolvedOptions().timeZone);
    // The service may not know the browser's time zone; without one it uses the campaign's.
    if (response.body.errors?.timezone) response = await send();
    // The reader may have closed the box meanwhile.
    if (!context.isState("submitting")) return;
    const { code, due_on, errors } = response.body;
    if (response.status === 201) {
      showCreated(due_on);
      return context.emit("reminded", interval);
    }
    if (code !== "invalid_email" && !errors?.email) return context.showError(response, showForm, submit);
    showForm();
    // Which addresses the newsroom's mail server can reach is known to the service alone, so it words that error.
    context.showFieldError({ errorKey: code === "address_not_supported" ? errors.email[0] : "email_invalid" });
  };
}

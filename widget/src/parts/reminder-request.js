/** Submits a reminder. */

import { consentVersion } from "./consent.js";
import { isEmailAddress } from "./email.js";
import { pageUrl } from "./page-url.js";
import { isDayOffered } from "./when.js";

const MAX_TITLE_LENGTH = 200;

/**
 * @param {PartContext} context
 * @param {object} form
 * @param {() => void} form.showForm
 * @param {(dueOn: string) => void} form.showCreated takes a date, YYYY-MM-DD
 * @param {() => void} form.showDayError
 * @returns {() => Promise<unknown>}
 */
export function createReminderRequest(context, { showForm, showCreated, showDayError }) {
  const { campaign, choice, lang, sendRequest, text } = context;

  return async function submit() {
    if (context.isState("submitting")) return;
    const { email, months, repeat } = choice;
    if (!isEmailAddress(email)) return context.showFieldError({ errorKey: email ? "email_invalid" : "email_missing" });
    if (!isDayOffered(choice)) return showDayError();
    const when = choice.picksDay ? { due_on: choice.day } : { months, ...(repeat && { repeat }) };
    const body = {
      ...context.commonFields(),
      page_url: pageUrl(),
      email,
      ...when,
      // An older service refuses a title; one that takes it says whether readers may pick a day.
      page_title: "pick_date" in campaign.reminder ? pageTitle() : undefined,
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
    if (due_on) {
      showCreated(due_on);
      return void context.emit("reminded", when);
    }
    const isEmailError = code === "invalid_email" || errors?.email;
    const isDayError = errors?.due_on && code !== "reminder_choice_not_offered";
    if (!isEmailError && !isDayError) {
      const isShown = await context.showChangedOffer?.(response, true);
      return isShown || context.showError(response, showForm, submit);
    }
    showForm();
    if (!isEmailError) return showDayError();
    // Which addresses the newsroom's mail server can reach is known to the service alone, so it words that error.
    context.showFieldError({ errorKey: code === "address_not_supported" ? errors.email[0] : "email_invalid" });
  };
}

/** Returns the title of the page, in whole characters. */
const pageTitle = () => [...document.title.trim()].slice(0, MAX_TITLE_LENGTH).join("") || undefined;

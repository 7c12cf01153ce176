/** The reminder form: email address, date and consent, and a calendar file for readers who give no address. */

import { button, createElement, createForm, fieldError, labelled, newTabLink } from "../dom.js";
import { randomKey } from "./idempotency.js";
import { calendarFile, download } from "./calendar-file.js";
import { formatDay, formatNearDay } from "./days.js";
import { chosenDay, isDayOffered, submitLabel, whenField } from "./when.js";

/** @param {PartContext} context @param {() => void} onSubmit */
export function createReminderForm(context, onSubmit) {
  const { campaign, choice, lang, text } = context;
  const submit = createElement("button", { part: "submit" });
  const saved = createElement("p", { part: "note", role: "status" });
  const email = createElement("input", {
    id: "email",
    // Not of the type "email", for which browsers refuse addresses with letters such as é before the @.
    inputMode: "email",
    autocomplete: "email",
    autocapitalize: "off",
    spellcheck: false,
    required: true,
    part: "input",
    value: choice.email,
    oninput() {
      choice.email = email.value;
      error.setMessage("");
      context.setState("reminder-form");
    },
    // Some password managers fire only this one.
    onchange() {
      choice.email = email.value;
    },
  });
  const error = fieldError(email);
  const when = whenField(context, () => {
    submit.textContent = submitLabel(context);
    saved.textContent = "";
    context.setState("reminder-form");
  });
  const privacy = campaign.privacy_url ? [" ", newTabLink(campaign.privacy_url, text("privacy_link"))] : [];

  /** Saves the same date as an event. Nothing is sent. */
  function saveCalendarFile() {
    if (!isDayOffered(choice)) return showDayError();
    const day = chosenDay(choice);
    const { frequency, amount, currency } = context.commonFields();
    const query = new URLSearchParams({ lang, frequency, amount: `${amount}`, currency });
    const event = {
      uid: randomKey(),
      day,
      everyMonths: choice.repeat && !choice.picksDay ? choice.months : 0,
      title: text("reminder_event", { campaign: campaign.name }),
      url: new URL(`/support/${campaign.slug}?${query}`, import.meta.url).href,
    };
    download("reminder.ics", calendarFile(event));
    saved.textContent = text("reminder_calendar_saved", { date: formatDay(lang, day) });
  }

  const { form, setBusy } = createForm(
    onSubmit,
    createElement("fieldset", {}, labelled(text("email"), email), error.element),
    when.element,
    createElement("p", { part: "note" }, text("reminder_consent"), ...privacy),
    submit,
  );
  const showDayError = () => {
    context.setState("invalid");
    when.showError();
  };

  return {
    showDayError,
    selectEmail() {
      email.focus();
      email.select();
    },
    /** @type {View} */
    view: {
      heading: text("reminder_heading"),
      message: `${context.notice ?? ""} ${text("reminder_message", { date: formatNearDay(lang, chosenDay(choice)) })}`.trim(),
      nodes: [
        form,
        button("link", text("reminder_calendar"), saveCalendarFile),
        saved,
        button("link", text("back"), context.showPledge),
      ],
      showFieldError: error.setMessage,
      setBusy,
    },
  };
}

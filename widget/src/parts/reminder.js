/**
 * The reminder: its form and its confirmation. The box loads this part when a reader asks for it.
 *
 * Browsers may run it with the v1.js of an older or newer build, so the two share no module, and the names in
 * `PartContext` and `View` keep their meaning.
 */

import { button, createElement, createForm, fieldError, labelled, newTabLink } from "../dom.js";
import { createReminderRequest } from "./reminder-request.js";

/** @param {PartContext} context */
export default function showReminder(context) {
  const showForm = () => context.showView("reminder-form", formView(context, submit));
  /** @param {string} dueOn */
  const showCreated = (dueOn) => context.showView("reminder-set", createdView(context, dueOn));
  const submit = createReminderRequest(context, showForm, showCreated);
  showForm();
}

/** @param {PartContext} context @param {() => void} submitReminder @returns {View} */
function formView(context, submitReminder) {
  const { campaign, choice, text } = context;
  const { options } = campaign.reminder;
  const submit = createElement("button", { part: "submit" }, choice.button);
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
  });
  const error = fieldError(email);

  const select = createElement(
    "select",
    {
      part: "input",
      onchange() {
        Object.assign(choice, options[select.selectedIndex]);
        submit.textContent = choice.button;
      },
    },
    ...options.map(({ months, repeat, label }) =>
      createElement("option", { selected: months === choice.months && repeat === choice.repeat }, label),
    ),
  );

  const privacy = campaign.privacy_url
    ? [" ", newTabLink(campaign.privacy_url, text("privacy_link"))]
    : [];

  const { form, setBusy } = createForm(
    submitReminder,
    createElement("fieldset", {}, labelled(text("email"), email), error.element),
    options.length > 1 ? createElement("fieldset", {}, labelled(text("reminder_legend"), select)) : "",
    createElement("p", { part: "note" }, text("reminder_consent"), ...privacy),
    submit,
  );

  return {
    heading: text("reminder_heading"),
    message: text("reminder_message"),
    nodes: [form, button("link", text("back"), context.showPledge)],
    showFieldError: error.setMessage,
    setBusy,
  };
}

/** @param {PartContext} context @param {string} dueOn a date, YYYY-MM-DD @returns {View} */
function createdView({ lang, text }, dueOn) {
  // Date parses a date without a time as midnight UTC, so only UTC formats it as the same day.
  const date = new Intl.DateTimeFormat(lang, { dateStyle: "long", timeZone: "UTC" }).format(new Date(dueOn));
  return { heading: text("reminder_set"), message: text("reminder_date", { date }), nodes: [] };
}

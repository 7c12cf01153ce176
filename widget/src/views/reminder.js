/** The reminder: an address, when to write, and what the address is used for. */

import { button, complaintAt, field, formOf, make } from "../dom.js";

/**
 * The words of the button: when the mail will come. Of one that comes again and again, the list above it says that.
 * @param {Say} text
 * @param {ReminderOption} wait
 */
export function promiseOf(text, { months, repeat, label }) {
  if (months === 1 && !repeat) return text("remind_me_next_month");
  return text("remind_me_when", { when: repeat ? "" : label[0].toLowerCase() + label.slice(1) });
}

/** @param {Desk} desk @returns {View} */
export function reminderView(desk) {
  const { campaign, choice, text } = desk;
  const { options } = campaign.reminder;
  const submit = make("button", { part: "submit" }, promiseOf(text, choice));
  const email = make("input", {
    id: "email",
    type: "email",
    autocomplete: "email",
    required: true,
    part: "input",
    value: choice.email,
    oninput() {
      choice.email = email.value;
      complaint.say("");
      desk.setState("reminder-form");
    },
  });
  const complaint = complaintAt(email);

  const select = make(
    "select",
    {
      part: "input",
      onchange() {
        Object.assign(choice, options[select.selectedIndex]);
        submit.textContent = promiseOf(text, choice);
      },
    },
    ...options.map(({ months, repeat, label }) =>
      make("option", { selected: months === choice.months && repeat === choice.repeat }, label),
    ),
  );

  const privacy = campaign.privacy_url
    ? [" ", make("a", { href: campaign.privacy_url, target: "_blank", rel: "noopener" }, text("privacy_link"))]
    : [];

  const { form, setBusy } = formOf(
    () => desk.remind(email.validity.valid),
    make("fieldset", {}, field(text("email"), email), complaint.place),
    options.length > 1 ? make("fieldset", {}, field(text("reminder_legend"), select)) : "",
    make("p", { part: "note" }, text("reminder_consent"), ...privacy),
    submit,
  );

  return {
    heading: text("reminder_heading"),
    message: text("reminder_message"),
    nodes: [form, button("link", text("back"), desk.showPledge)],
    showFieldError: complaint.say,
    setBusy,
  };
}

/** @param {Desk} desk @param {string} dueOn a date, YYYY-MM-DD @returns {View} */
export function reminderSetView({ lang, text }, dueOn) {
  // A date without a time is midnight UTC, and stays that day only when it is written in UTC.
  const date = new Intl.DateTimeFormat(lang, { dateStyle: "long", timeZone: "UTC" }).format(new Date(dueOn));
  return { heading: text("reminder_set"), message: text("reminder_date", { date }), nodes: [] };
}

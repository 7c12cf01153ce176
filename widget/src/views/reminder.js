/** The reminder: an address, when to write, and what the address is used for. */

import { button, complaintAt, fieldset, formOf, make, option } from "../dom.js";

/** @param {string} lang @param {number} months @returns {string} "next month", "in 3 months" */
const when = (lang, months) => new Intl.RelativeTimeFormat(lang, { numeric: "auto" }).format(months, "month");

/** @param {Desk} desk @returns {View} */
export function reminderView(desk) {
  const { campaign, choice, lang, text } = desk;
  const months = campaign.reminder.choices;
  const submit = make("button", { part: "submit" });
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
      desk.mend("reminder-form");
    },
  });
  const complaint = complaintAt(email);

  function sayWhen() {
    submit.textContent =
      choice.months === 1 ? text("remind_me_next_month") : text("remind_me_when", { when: when(lang, choice.months) });
  }
  sayWhen();

  const waits = months.map((wait) =>
    option("months", when(lang, wait), wait, wait === choice.months, () => {
      choice.months = wait;
      sayWhen();
    }),
  );
  const privacy = campaign.privacy_url
    ? [" ", make("a", { href: campaign.privacy_url, target: "_blank", rel: "noopener" }, text("privacy_link"))]
    : [];

  const { form, busy } = formOf(
    () => desk.remind(email.validity.valid),
    ...(months.length > 1
      ? [fieldset(text("reminder_legend"), make("div", { className: "options" }, ...waits))]
      : []),
    make(
      "fieldset",
      {},
      make("label", { part: "field" }, text("email"), make("span", { className: "well" }, email)),
      complaint.place,
    ),
    make("p", { part: "note" }, text("reminder_consent"), ...privacy),
    submit,
  );

  return {
    heading: text("reminder_heading"),
    message: text("reminder_message"),
    nodes: [form, button("link", text("back"), desk.showPledge)],
    refuse: complaint.say,
    busy,
  };
}

/** @param {Desk} desk @param {string} dueOn a date, YYYY-MM-DD @returns {View} */
export function reminderSetView({ lang, text }, dueOn) {
  // A date without a time is midnight UTC, and stays that day only when it is written in UTC.
  const date = new Intl.DateTimeFormat(lang, { dateStyle: "long", timeZone: "UTC" }).format(new Date(dueOn));
  return { heading: text("reminder_set"), message: text("reminder_date", { date }), nodes: [] };
}

/**
 * The reminder: its form and its confirmation. The box loads this part when a reader asks for it.
 *
 * Browsers may run it with the v1.js of an older or newer build, so the two share no module, and the names in
 * `PartContext` and `View` keep their meaning.
 */

import { button, createElement } from "../dom.js";
import { formatDay } from "./days.js";
import { createReminderForm } from "./reminder-form.js";
import { createReminderRequest } from "./reminder-request.js";
import { loadTexts } from "./reminder-texts.js";

/** @param {PartContext} context */
export default async function showReminder(context) {
  if (!(await loadTexts(context, () => showReminder(context)))) return;
  const { lang, showView, text } = context;
  /** @type {ReturnType<typeof createReminderForm>} */
  let form;
  const showForm = () => {
    form = createReminderForm(context, submit);
    showView("reminder-form", form.view);
  };
  const showDayError = () => form.showDayError();
  /** @param {string} dueOn */
  const showCreated = (dueOn) => {
    const message = text("reminder_date", { date: formatDay(lang, dueOn) });
    const { choice } = context;
    const change = button("link", text("reminder_change"), () => {
      form = createReminderForm(context, submit);
      // Nobody may cancel a reminder by its address alone, so the first one stays.
      const kept = createElement("p", { part: "note" }, text("reminder_kept", { email: choice.email.trim() }));
      showView("reminder-form", { ...form.view, nodes: [kept, ...form.view.nodes] });
      form.selectEmail();
    });
    showView("reminder-set", { heading: text("reminder_set"), message, nodes: [change] });
  };
  const submit = createReminderRequest(context, { showForm, showCreated, showDayError });
  showForm();
}

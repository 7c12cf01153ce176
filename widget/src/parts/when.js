/** When a reminder is to come: one of the campaign's options, or a day that the reader picks. */

import { createElement, fieldError, labelled } from "../dom.js";
import { dayAfterMonths, formatDay, formatNearDay, tomorrow } from "./days.js";

const MAX_MONTHS = 12;

/** Returns the day of the chosen reminder, by the reader's calendar; "" if none is picked. @param {ReminderChoice} choice */
export const chosenDay = ({ picksDay, day, months }) => (picksDay ? day : dayAfterMonths(months)) ?? "";

/** Whether the chosen day can be asked for. @param {ReminderChoice} choice */
export const isDayOffered = ({ picksDay, day = "" }) =>
  !picksDay || (day >= tomorrow() && day <= dayAfterMonths(MAX_MONTHS));

/** Labels the button that sets the reminder. @param {PartContext} context */
export function submitLabel({ choice, lang, text }) {
  if (!choice.picksDay) return choice.button;
  return isDayOffered(choice) ? text("remind_me_on", { date: formatDay(lang, choice.day ?? "") }) : text("remind_me_later");
}

/**
 * @param {PartContext} context
 * @param {() => void} onchange
 */
export function whenField({ campaign, choice, lang, text }, onchange) {
  const { options, pick_date } = campaign.reminder;
  const first = tomorrow();
  const last = dayAfterMonths(MAX_MONTHS);
  const day = createElement("input", {
    id: "day",
    type: "date",
    part: "input",
    min: first,
    max: last,
    required: true,
    value: choice.day ?? "",
    oninput() {
      choice.day = day.value;
      update();
    },
  });
  const error = fieldError(day, "day-error");
  const dayField = labelled(text("reminder_day"), day);
  const note = createElement("p", { part: "note", role: "status" });
  const select = createElement(
    "select",
    {
      part: "input",
      onchange() {
        const option = options[select.selectedIndex];
        Object.assign(choice, option, { picksDay: !option });
        update();
      },
    },
    ...options.map(({ months, repeat, label }) => {
      const selected = !choice.picksDay && months === choice.months && repeat === choice.repeat;
      return createElement("option", { selected }, label);
    }),
    ...(pick_date ? [createElement("option", { selected: choice.picksDay }, text("reminder_pick_date"))] : []),
  );

  function update() {
    dayField.hidden = !choice.picksDay;
    note.textContent = choice.picksDay ? "" : text("reminder_around", { date: formatNearDay(lang, chosenDay(choice)) });
    error.setMessage("");
    onchange();
  }
  update();

  return {
    element:
      select.length > 1
        ? createElement("fieldset", {}, labelled(text("reminder_legend"), select), dayField, error.element, note)
        : "",
    showError: () =>
      error.setMessage(text("reminder_day_error", { first: formatDay(lang, first), last: formatDay(lang, last) })),
  };
}

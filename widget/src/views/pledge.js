/** The first view: how often, how much, and a button that says what will happen. */

import { chosenAmount, offeredAmounts, termsFor } from "../choice.js";
import { button, complaintAt, field, fieldset, formOf, make, option } from "../dom.js";

/** @param {Desk} desk @returns {View} */
export function pledgeView(desk) {
  const { campaign, choice, money, text } = desk;
  const presets = make("div", { className: "options" });
  const submit = make("button", { part: "submit" });
  const other = make("input", {
    id: "amount",
    inputMode: "decimal",
    autocomplete: "off",
    part: "input",
    value: choice.other,
    oninput() {
      choice.other = other.value;
      follow();
    },
  });
  const complaint = complaintAt(other);
  const symbol = make("span", { "aria-hidden": true }, money.symbol);

  /** Follows the reader: the button says what will happen, and what was refused before is taken back. */
  function follow() {
    const reading = chosenAmount(choice, termsFor(campaign, choice.frequency), money);
    submit.textContent = reading.refusal
      ? text("continue")
      : text(`continue_${choice.frequency}`, { amount: money.format(reading.minor) });
    for (const radio of presets.querySelectorAll("input"))
      radio.checked = !choice.other.trim() && radio.value === String(choice.preset);
    complaint.say("");
    desk.mend("form");
  }

  function showPresets() {
    presets.replaceChildren(
      ...offeredAmounts(termsFor(campaign, choice.frequency)).map((amount) =>
        option("preset", money.format(amount), amount, false, () => {
          choice.preset = amount;
          choice.other = other.value = "";
          follow();
        }),
      ),
    );
    follow();
  }

  const frequencies = campaign.frequencies.map((terms) =>
    option("frequency", text(terms.frequency), terms.frequency, terms.frequency === choice.frequency, () => {
      choice.frequency = terms.frequency;
      choice.preset = terms.default;
      showPresets();
    }),
  );
  showPresets();

  const { form, busy } = formOf(
    desk.pledge,
    fieldset(text("frequency_legend"), make("div", { className: "options" }, ...frequencies)),
    fieldset(
      text("amount_legend"),
      presets,
      field(text("other_amount"), ...(money.symbolLeads ? [symbol, other] : [other, symbol])),
      complaint.place,
    ),
    submit,
  );

  return {
    heading: campaign.heading,
    nodes: [
      ...campaign.message.map((paragraph) => make("p", { part: "message" }, paragraph)),
      form,
      ...(campaign.reminder.enabled ? [button("link", text("not_ready"), desk.showReminder)] : []),
    ],
    refuse: complaint.say,
    busy,
  };
}

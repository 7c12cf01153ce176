/** The first view: how often, how much, in which currency, and a button that says what will happen. */

import { readAmount, defaultsFor } from "../choice.js";
import { button, complaintAt, field, fieldset, formOf, make, option, row } from "../dom.js";
import { coveredFees, optionFor, presetAmounts } from "../currencies.js";
import { currencyField } from "./currency.js";
import { feesTick } from "./fees.js";

/** @param {Desk} desk @returns {View} */
export function pledgeView(desk) {
  const { campaign, choice, text } = desk;
  const frequencies = row();
  const presets = row();
  const submit = make("button", { part: "submit" });
  const symbol = make("span", { "aria-hidden": true });
  const other = make("input", {
    id: "amount",
    inputMode: "decimal",
    autocomplete: "off",
    part: "input",
    value: choice.customAmount,
    oninput() {
      choice.customAmount = other.value;
      follow();
    },
  });
  const complaint = complaintAt(other);
  const told = make("p", { part: "note", role: "status" });
  const fees = feesTick(desk, follow);

  /** Follows the reader: the button says what will happen, and what was said about an earlier choice is taken back. */
  function follow() {
    const { coversFees, frequency, currencyOption, preset } = choice;
    const { minor } = readAmount(choice);
    const added = minor ? coveredFees(minor, currencyOption) : 0;
    submit.textContent = minor
      ? text(`continue_${frequency}`, { amount: currencyOption.money.format(minor + (coversFees ? added : 0)) })
      : text("continue");
    fees.follow(added);
    for (const radio of presets.querySelectorAll("input"))
      radio.checked = !choice.customAmount.trim() && radio.value === String(preset);
    told.textContent = "";
    complaint.say("");
    desk.setState("form");
  }

  function showPresets() {
    const { frequency, currencyOption } = choice;
    presets.replaceChildren(
      ...presetAmounts(optionFor(currencyOption, frequency)).map((amount) =>
        option("preset", currencyOption.money.format(amount), amount, false, () => {
          choice.preset = amount;
          choice.customAmount = other.value = "";
          follow();
        }),
      ),
    );
    follow();
  }

  function showOffer(news = "") {
    const { frequency: chosen, currencyOption } = choice;
    frequencies.replaceChildren(
      ...currencyOption.frequencies.map(({ frequency }) =>
        option("frequency", text(frequency), frequency, frequency === chosen, () => {
          Object.assign(choice, defaultsFor(currencyOption, frequency));
          showPresets();
        }),
      ),
    );
    symbol.textContent = currencyOption.money.symbol;
    other[currencyOption.money.isSymbolFirst ? "before" : "after"](symbol);
    showPresets();
    told.textContent = news;
  }

  const { form, setBusy } = formOf(
    desk.pledge,
    fieldset(text("frequency_legend"), frequencies),
    fieldset(
      text("amount_legend"),
      presets,
      row(currencyField(desk, showOffer), field(text("other_amount"), other)),
      complaint.place,
      told,
      fees.place,
    ),
    submit,
  );
  showOffer();

  return {
    heading: campaign.heading,
    nodes: [
      ...campaign.message.map((paragraph) => make("p", { part: "message" }, paragraph)),
      form,
      campaign.reminder.enabled ? button("link", text("not_ready"), desk.showReminder) : "",
    ],
    showFieldError: complaint.say,
    setBusy,
  };
}

/** The pledge form: frequency, amount, currency, fees and a button that states the total. */

import { defaultsFor, readAmount } from "../choice.js";
import { optionFor, presetAmounts } from "../currencies.js";
import { createElement, createForm, fieldError, fieldset, labelled, optionRow, radio } from "../dom.js";
import { manageLink } from "./manage-link.js";
import { reminderButton } from "./reminder-button.js";

/** @param {ViewContext} context @returns {View} */
export function pledgeView(context) {
  const { campaign, choice, offers, text } = context;
  const frequencies = optionRow();
  const presets = optionRow();
  const submit = createElement("button", { part: "submit" });
  const symbol = createElement("span", { "aria-hidden": true, dir: "ltr" });
  const customAmount = createElement("input", {
    id: "amount",
    inputMode: "decimal",
    autocomplete: "off",
    part: "input",
    value: choice.customAmount,
    oninput: readTyped,
    // Some browsers fill in a field with "change" only. It also comes when the form goes, and must not change that.
    onchange() {
      if (choice.customAmount !== customAmount.value) readTyped();
      context.report("amount");
    },
  });
  function readTyped() {
    choice.customAmount = customAmount.value;
    update();
  }

  const error = fieldError(customAmount);
  // What the chosen preset pays for, or why the frequency changed.
  const status = createElement("p", { part: "note", role: "status", dir: "auto" });
  const fees = offers.feesCheckbox?.(context, update);

  /** Shows the current choice, and clears the messages about the previous one. */
  function update() {
    const { frequency, currencyOption, preset } = choice;
    const minor = readAmount(choice) ?? 0;
    const fee = fees?.updateFees(minor) ?? 0;
    submit.textContent = minor
      ? text(`continue_${frequency}`, { amount: currencyOption.money.format(minor + fee) })
      : text("continue");
    const isPreset = !choice.customAmount.trim();
    for (const input of presets.querySelectorAll("input")) input.checked = isPreset && input.value === String(preset);
    status.textContent = (isPreset && currencyOption.impact?.[frequency]?.[preset]) || "";
    error.setMessage("");
    context.setState("form");
  }

  function showPresets() {
    const { frequency, currencyOption } = choice;
    presets.replaceChildren(
      ...presetAmounts(optionFor(currencyOption, frequency)).map((amount) =>
        radio("preset", currencyOption.money.format(amount), amount, false, () => {
          choice.preset = amount;
          choice.customAmount = customAmount.value = "";
          update();
          context.report("amount");
        }),
      ),
    );
    update();
  }

  function showCurrency(message = "") {
    const { frequency: chosen, currencyOption } = choice;
    frequencies.replaceChildren(
      ...currencyOption.frequencies.map(({ frequency }) =>
        radio("frequency", text(frequency), frequency, frequency === chosen, () => {
          Object.assign(choice, defaultsFor(currencyOption, frequency));
          showPresets();
          context.report("frequency");
        }),
      ),
    );
    symbol.textContent = currencyOption.money.symbol;
    customAmount[currencyOption.money.isSymbolFirst ? "before" : "after"](symbol);
    showPresets();
    if (message) status.textContent = message;
  }

  const { form, setBusy } = createForm(
    context.submitPledge,
    fieldset(text("frequency_legend"), frequencies),
    fieldset(
      text("amount_legend"),
      presets,
      status,
      optionRow(offers.currencyField?.(context, showCurrency) ?? "", labelled(text("other_amount"), customAmount)),
      error.element,
      fees?.element ?? "",
    ),
    submit,
  );
  // A reader who points at the form or moves the focus into it may press its button next.
  for (const type of ["pointerenter", "focusin"]) form.addEventListener(type, () => context.preloadPart("checkout"));
  showCurrency();

  // On a phone the form comes first, and the rest of the message at a press.
  const open = innerWidth > 480;
  const [first, ...rest] = campaign.message.map((paragraph) =>
    createElement("p", { part: "message", dir: "auto" }, paragraph),
  );

  return {
    heading: campaign.heading,
    message: context.notice,
    nodes: [
      first ?? "",
      rest[0] ? createElement("details", { open }, createElement("summary", { hidden: open, part: "link" }, text("read_more")), ...rest) : "",
      campaign.closed ? "" : form,
      reminderButton(context, "not_ready"),
      manageLink(context),
    ],
    showFieldError: error.setMessage,
    setBusy,
  };
}

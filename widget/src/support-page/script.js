/**
 * Upgrades the pledge form of the support page: the button states the amount, the fees follow it, and a wrong amount is
 * explained before anything is sent. The form is complete without this script, and sends the same with it.
 */

import { chosenAmount, readAmount } from "../choice.js";
import { button, createElement } from "../dom.js";
import { explainText } from "../explain-amount.js";
import { createMoney } from "../money.js";
import { coveredFees } from "../parts/fees.js";
import { createTranslator } from "../texts.js";

/** @param {HTMLFormElement} form @param {SupportPageOffer} offer */
function upgrade(form, offer) {
  const lang = document.documentElement.lang;
  const text = createTranslator(offer.texts, lang);
  const money = createMoney(offer.currency, lang, offer.exponent, offer.step);
  const currencyOption = { ...offer, money };
  const amount = /** @type {HTMLInputElement} */ (form.querySelector("[name=other_amount]"));
  const submit = /** @type {HTMLButtonElement} */ (form.querySelector("[data-continue]"));
  const feesByFrequency = [.../** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("p[data-for]"))];
  const presetGroups = /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("fieldset[data-for]"));
  const reminder = document.querySelector("form[data-reminder]");
  const originalFees = feesByFrequency.map((element) => element.textContent);
  const describedBy = amount.getAttribute("aria-describedby")?.match(/\S+-hint/)?.[0] ?? "";

  /** Returns the choice that the form would send; undefined without a frequency, for which the service asks. */
  function readChoice() {
    const data = new FormData(form);
    const frequency = /** @type {Frequency | null} */ (data.get("frequency"));
    if (!frequency) return;
    const customAmount = /** @type {string} */ (data.get("other_amount"));
    const preset = Number(data.get(`preset_${frequency}`));
    return { currencyOption, frequency, customAmount, preset, coversFees: data.has("cover_fees") };
  }

  /** Shows what the current choice comes to. Returns what covering the fees adds, or "" without an amount. */
  function update() {
    const choice = readChoice();
    if (!choice) return "";
    const { frequency, coversFees } = choice;
    const minor = readAmount(choice) ?? 0;
    const fees = minor && coveredFees(minor, currencyOption);
    const amount = money.format(minor + (coversFees ? fees : 0));
    submit.textContent = minor ? text(`continue_${frequency}`, { amount }) : text("continue");
    // The style sheet does the same in browsers that know :has().
    for (const element of [...presetGroups, ...feesByFrequency]) element.hidden = element.dataset.for !== frequency;
    updateReminder({ frequency, currency: offer.currency, amount: minor ? String(minor) : "" });
    return fees && text("cover_fees_figure", { fees: money.format(fees), amount: money.format(minor) });
  }

  /** Keeps the choice for a reminder. @param {Record<string, string>} values */
  function updateReminder(values) {
    for (const [name, value] of Object.entries(values))
      Object.assign(reminder?.querySelector(`[name=${name}]`) ?? {}, { value });
  }

  /** Says beside the field what is wrong; an empty message clears it. @param {string} message @param {...Node} nodes */
  function showError(message, ...nodes) {
    document.getElementById("amount-complaint")?.remove();
    amount.removeAttribute("aria-invalid");
    amount.setAttribute("aria-describedby", `${message && "amount-complaint "}${describedBy}`);
    if (!message) return;
    const error = createElement("p", { className: "complaint", id: "amount-complaint" }, message, ...nodes);
    amount.closest(".well")?.before(error);
    amount.setAttribute("aria-invalid", "true");
    amount.focus();
  }

  /** @param {Event} event */
  function onChange({ target, type }) {
    if (type === "click" && !(target instanceof HTMLInputElement && target.type === "radio")) return;
    // A typed amount counts instead of a preset, so choosing a preset clears it, as in the box.
    if (target instanceof HTMLInputElement && target.name.startsWith("preset_")) amount.value = "";
    showError("");
    const figure = update();
    feesByFrequency.forEach((element, index) => {
      element.textContent = figure ? text("cover_fees_figures", { figures: figure }) : originalFees[index];
    });
  }

  // Some browsers fill in a field with "change" only, and a preset that is checked already sends no more than "click".
  for (const type of ["input", "change", "click"]) form.addEventListener(type, onChange);
  form.addEventListener("submit", (event) => {
    const choice = readChoice();
    // The limits may have changed since the page was loaded, so the service checks them. Its own button for what the
    // reader may have meant sends that amount.
    if (!choice || chosenAmount(choice) >= 0 || event.submitter?.getAttribute("name")) return;
    event.preventDefault();
    const explained = explainText(choice.customAmount, currencyOption, lang);
    const errorKey = explained.errorKey ?? "amount_suggested";
    const values = explained.errorKey ? explained.values : { amount: money.format(explained.minor) };
    const { suggestion } = explained;
    const use = button("", text("amount_use", values), () => {
      amount.value = suggestion ?? "";
      amount.dispatchEvent(new Event("input", { bubbles: true }));
      submit.focus();
    });
    use.className = "quiet-button";
    showError(text(errorKey, values), ...(suggestion ? [use] : []));
  });
  // A page from the browser's history has the reader's choice only now. Its fees stay as they are, so nothing moves.
  addEventListener("pageshow", update);
  update();
}

const form = /** @type {HTMLFormElement | null} */ (document.querySelector("form[data-offer]"));
if (form) upgrade(form, JSON.parse(form.dataset.offer ?? ""));

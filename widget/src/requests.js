/** The two things a reader can ask of the service, and where each answer leads. */

import { chosenAmount, termsFor } from "./choice.js";
import { newIntent } from "./intent.js";
import { versionOf } from "./texts.js";

/**
 * @param {Desk} desk
 * @param {import("./frame.js").Frame} frame
 * @param {HTMLElement} host
 * @param {Call} call
 * @param {Tell} tell
 */
export function requestsFrom(desk, frame, host, call, tell) {
  const { campaign, choice, lang, money, text } = desk;
  const intent = newIntent();
  const reading = () => chosenAmount(choice, termsFor(campaign, choice.frequency), money);

  /** What both requests say: what the reader chose, and where. @param {number} [amount] */
  const wish = (amount) => ({
    campaign: campaign.slug,
    frequency: choice.frequency,
    amount,
    // The query and the fragment may hold what is the reader's alone.
    page_url: location.protocol.startsWith("http") ? location.origin + location.pathname : undefined,
    lang,
  });

  /**
   * Puts a refusal beside its field, and anything else where the reader can try again.
   * @param {Answer} answer
   * @param {string} field
   * @param {() => void} goBack
   * @param {() => void} retry
   */
  function settle(answer, field, goBack, retry) {
    const { code, detail, errors } = answer.body;
    // A refused request made nothing, so the next one is an intent of its own.
    if (answer.status === 422) intent.forget();
    if (errors?.[field] || code?.startsWith(`${field}_`)) {
      goBack();
      frame.refuse(errors?.[field]?.[0] ?? detail);
    } else desk.showTrouble(answer, goBack, retry);
  }

  async function pledge() {
    if (frame.is("submitting")) return;
    const amount = reading();
    if (amount.refusal) return frame.refuse(text(amount.refusal, amount.values));
    frame.submit(text("submitting"));
    const back = host.getAttribute("return-url");
    const body = JSON.stringify({
      ...wish(amount.minor),
      currency: campaign.currency,
      variant: host.getAttribute("variant") || undefined,
      return_url: back ? new URL(back, location.href).href : undefined,
    });
    const answer = await call("/v1/pledges", body, intent.keyFor(body));
    // A reader who closed the box meanwhile does not want to be taken anywhere.
    if (!frame.is("submitting")) return;
    if (answer.status !== 201) return settle(answer, "amount", desk.showPledge, pledge);
    const { frequency, currency } = answer.body;
    tell("pledged", { frequency, amount: amount.minor, currency });
    location.assign(answer.body.checkout_url);
  }

  /** @param {boolean} addressIsWhole whether the browser takes the address for one */
  async function remind(addressIsWhole) {
    if (frame.is("submitting")) return;
    if (!addressIsWhole) return frame.refuse(text(choice.email ? "email_invalid" : "email_missing"));
    frame.submit(text("sending"));
    /** @param {string} [timezone] */
    const ask = (timezone) =>
      call(
        "/v1/reminders",
        JSON.stringify({
          ...wish(reading().minor),
          email: choice.email,
          months: choice.months,
          timezone,
          consent_version: versionOf(lang, text("reminder_consent")),
        }),
      );
    let answer = await ask(Intl.DateTimeFormat().resolvedOptions().timeZone);
    // A browser may know a zone that the service does not; the campaign's zone is better than no reminder.
    if (answer.body.errors?.timezone) answer = await ask();
    if (!frame.is("submitting")) return;
    if (answer.status !== 201) return settle(answer, "email", desk.showReminder, () => remind(true));
    desk.showReminderSet(answer.body.due_on);
    tell("reminded", { months: choice.months });
  }

  return { pledge, remind, forget: intent.forget };
}

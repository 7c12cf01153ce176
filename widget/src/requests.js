/** The two things a reader can ask of the service, and where each answer leads. */

import { chosenAmount, outside, termsFor } from "./choice.js";
import { newIntent } from "./intent.js";
import { versionOf } from "./texts.js";
import { wayBackOf } from "./way-back.js";

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
  const wayBack = wayBackOf(host);
  const terms = () => termsFor(campaign, choice.frequency);
  const reading = () => chosenAmount(choice, terms(), money);

  /** What both requests say: what the reader chose, and where. @param {number} [amount] */
  const wish = (amount) => ({
    campaign: campaign.slug,
    frequency: choice.frequency,
    amount,
    // The query and the fragment may hold what is the reader's alone.
    page_url: location.protocol.startsWith("http") ? location.origin + location.pathname : undefined,
    lang,
  });

  /** @param {Refusal} refusal */
  const refuse = ({ refusal, values }) => frame.refuse(text(refusal, values));

  /**
   * Puts what the reader can mend beside its field, and anything else where they can try again.
   * @param {Answer} answer
   * @param {Refusal | false} refusal
   * @param {() => void} goBack
   * @param {() => void} retry
   */
  function settle(answer, refusal, goBack, retry) {
    // A refused request made nothing, so the next one is an intent of its own.
    if (answer.status === 422) intent.forget();
    if (!refusal) return desk.showTrouble(answer, goBack, retry);
    goBack();
    refuse(refusal);
  }

  async function pledge() {
    if (frame.is("submitting")) return;
    const amount = reading();
    if (amount.refusal) return refuse(amount);
    const gift = {
      ...wish(amount.minor),
      currency: campaign.currency,
      variant: host.getAttribute("variant") || undefined,
    };
    /** @param {string} [return_url] */
    const bodyWith = (return_url) => JSON.stringify({ ...gift, return_url });
    /** @param {string} body */
    const send = (body) => call("/v1/pledges", body, intent.keyFor(body));
    const back = wayBack.url();
    const body = bodyWith(back);
    // Only now, because a box that is busy before anything is sent would stay busy for ever if the making failed.
    frame.submit(text("submitting"));
    let answer = await send(body);
    // A reader who closed the box meanwhile does not want to be taken anywhere.
    if (!frame.is("submitting")) return;
    const { code, errors } = answer.body;
    // The newsroom chose the address, so the gift goes on without it.
    if (back && (code === "return_url_not_allowed" || errors?.return_url)) {
      wayBack.leaveOut(errors?.return_url?.[0] ?? code);
      answer = await send(bodyWith());
      if (!frame.is("submitting")) return;
    }
    if (answer.status !== 201) {
      const { code } = answer.body;
      const isOutside = code === "amount_below_minimum" || code === "amount_above_maximum";
      return settle(answer, isOutside && outside(code, terms(), money), desk.showPledge, pledge);
    }
    const { frequency, currency } = answer.body;
    tell("pledged", { frequency, amount: amount.minor, currency });
    location.assign(answer.body.checkout_url);
  }

  /** @param {boolean} addressIsWhole whether the browser takes the address for one */
  async function remind(addressIsWhole) {
    if (frame.is("submitting")) return;
    if (!addressIsWhole) return refuse({ refusal: choice.email ? "email_invalid" : "email_missing" });
    const { email, months, repeat } = choice;
    const wait = { months, ...(repeat && { repeat }) };
    const hope = {
      ...wish(reading().minor),
      email,
      ...wait,
      consent_version: versionOf(lang, text("reminder_consent")),
    };
    /** @param {string} [timezone] */
    const ask = (timezone) => call("/v1/reminders", JSON.stringify({ ...hope, timezone }));
    frame.submit(text("sending"));
    let answer = await ask(Intl.DateTimeFormat().resolvedOptions().timeZone);
    // A browser may know a zone that the service does not; the campaign's zone is better than no reminder.
    if (answer.body.errors?.timezone) answer = await ask();
    if (!frame.is("submitting")) return;
    if (answer.status !== 201) {
      const { code, errors } = answer.body;
      const isAddress = code === "invalid_email" || errors?.email;
      return settle(answer, isAddress && { refusal: "email_invalid" }, desk.showReminder, () => remind(true));
    }
    desk.showReminderSet(answer.body.due_on);
    tell("reminded", wait);
  }

  return { pledge, remind, forget: intent.forget };
}

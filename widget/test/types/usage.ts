/** What a page in TypeScript writes; `npm run lint` checks it against the types that the service serves. */

const box = document.querySelector("support-box");
box?.open();
box?.reset();
box?.addEventListener("support-box:pledged", ({ detail }) => {
  const total: number = detail.amount + (detail.fees ?? 0);
  console.log(total, detail.currency, detail.variant);
});
document.addEventListener("support-box:continue", (event) => {
  if (event.detail.frequency === "once" && (event.detail.amount ?? 0) < 500) event.preventDefault();
});
const stop = window.SupportBox?.on("reminded", ({ detail }) => console.log(detail.months, detail.due_on, detail.repeat));
stop?.();

const attributes: SupportBoxAttributes = { campaign: "default", placement: "banner", "heading-level": 3 };
for (const [name, value] of Object.entries(attributes)) box?.setAttribute(name, String(value));

// @ts-expect-error There is no such event.
window.SupportBox?.on("paid", () => {});
// @ts-expect-error There is no such placement.
export const wrong: SupportBoxAttributes = { placement: "popup" };

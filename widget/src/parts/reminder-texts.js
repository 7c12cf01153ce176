/** The texts of the reminder, which come with it and not with the campaign, because few readers open the form. */

/**
 * Adds the texts of the reminder to those of the campaign. Returns false if the reader did something else meanwhile, or
 * if they could not be loaded and the box says so.
 * @param {PartContext} context
 * @param {() => void} retry
 */
export async function loadTexts({ campaign, lang, sendRequest, showError, showPledge, text, watchView }, retry) {
  // An older v1.js, and an older service, have all texts from the start.
  if (text("reminder_heading") !== "reminder_heading") return true;
  const isStillShown = watchView?.();
  const path = `/v1/campaigns/${encodeURIComponent(campaign.slug)}?texts=full&part=reminder&lang=${lang}`;
  const response = await sendRequest(path);
  if (isStillShown?.() === false) return false;
  const { texts } = response.body;
  if (texts) Object.assign(campaign.texts ?? {}, texts);
  else showError(response, showPledge, retry);
  return !!texts;
}

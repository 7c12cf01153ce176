/** The line that leads supporters to the page on which they manage their support. */

import { createElement, newTabLink } from "../dom.js";

/** @param {ViewContext} context @returns {Node | string} an empty string if the service is older than the link */
export const manageLink = ({ campaign, text }) =>
  campaign.manage_url
    ? createElement(
        "p",
        { part: "note" },
        `${text("supporter_question")} `,
        newTabLink(campaign.manage_url, text("manage_support")),
      )
    : "";

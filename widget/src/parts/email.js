/** The outline of an email address. The service decides the rest, by the cases of tests/email_addresses.json. */

/** Whether a text looks like an email address, in any script. @param {string} text */
export const isEmailAddress = (text) => /^\s*[^\s@]+@[^\s@]+\s*$/.test(text);

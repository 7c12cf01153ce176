/** Speaks with the service: no cookies, no referrer, an answer within fifteen seconds or none. */

const PATIENCE_MS = 15_000;
const REPEATS_WHILE_IN_PROGRESS = 5;

/**
 * @param {string | null} header the value of Retry-After: seconds or an HTTP date
 * @param {number} now milliseconds since the epoch
 * @returns {number} whole seconds, 0 when the service named none
 */
export function secondsToWait(header, now = Date.now()) {
  const wait = Number(header) || (Date.parse(header ?? "") - now) / 1000;
  return Math.max(0, Math.ceil(wait)) || 0;
}

/**
 * @param {string} url
 * @param {string} [body] JSON to post; without it the url is only read
 * @param {string} [key] the Idempotency-Key
 * @returns {Promise<Answer>}
 */
export async function ask(url, body, key) {
  try {
    for (let repeats = REPEATS_WHILE_IN_PROGRESS; ; repeats--) {
      const response = await fetch(url, {
        method: body ? "POST" : "GET",
        body,
        headers: body ? { "Content-Type": "application/json", ...(key && { "Idempotency-Key": key }) } : {},
        credentials: "omit",
        referrerPolicy: "no-referrer",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      /** @type {Answer} */
      const answer = {
        status: response.status,
        waitSeconds: secondsToWait(response.headers.get("Retry-After")),
        // What stands in front of the service may answer with a page of its own when it is down.
        body: await response.json().catch((reason) => (response.ok ? Promise.reject(reason) : {})),
      };
      // The first of two equal requests is still running; its answer will be ours as well.
      if (answer.body.code !== "request_in_progress" || !repeats) return answer;
      await new Promise((go) => setTimeout(go, Math.min(answer.waitSeconds || 1, 5) * 1000));
    }
  } catch {
    return { status: 0, waitSeconds: 0, body: {} };
  }
}

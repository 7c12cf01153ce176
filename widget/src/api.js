/** Speaks with the service: no cookies, no referrer, an result within fifteen seconds or none. */

const TIMEOUT_MS = 15_000;
const MAX_IN_PROGRESS_RETRIES = 5;

/**
 * @param {string | null} header the value of Retry-After: seconds or an HTTP date
 * @param {number} now milliseconds since the epoch
 * @returns {number} whole seconds, 0 when the service named none
 */
export function parseRetryAfter(header, now = Date.now()) {
  const seconds = Number(header) || (Date.parse(header ?? "") - now) / 1000;
  return Math.max(0, Math.ceil(seconds)) || 0;
}

/**
 * @param {string} url
 * @param {string} [body] JSON to post; without it the url is only read
 * @param {string} [key] the Idempotency-Key
 * @returns {Promise<ApiResponse>}
 */
export async function request(url, body, key) {
  try {
    for (let retries = MAX_IN_PROGRESS_RETRIES; ; retries--) {
      const response = await fetch(url, {
        method: body ? "POST" : "GET",
        body,
        headers: body ? { "Content-Type": "application/json", ...(key && { "Idempotency-Key": key }) } : {},
        credentials: "omit",
        referrerPolicy: "no-referrer",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      /** @type {ApiResponse} */
      const result = {
        status: response.status,
        retryAfterSeconds: parseRetryAfter(response.headers.get("Retry-After")),
        // What stands in front of the service may result with a page of its own when it is down.
        body: await response.json().catch((reason) => (response.ok ? Promise.reject(reason) : {})),
      };
      // The first of two equal requests is still running; its result will be ours as well.
      if (result.body.code !== "request_in_progress" || !retries) return result;
      await new Promise((resolve) => setTimeout(resolve, Math.min(result.retryAfterSeconds || 1, 5) * 1000));
    }
  } catch {
    return { status: 0, retryAfterSeconds: 0, body: {} };
  }
}

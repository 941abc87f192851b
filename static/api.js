// The client of the board's REST API: one function that asks and throws.

/** @import { Problem } from "./types.d.ts" */

import { onBoard } from "./address.js";
import { wordsFor } from "./refusals.js";

/** @type {Set<() => void>} */
const waiting = new Set(); // what is done when the board answers again

/** A refused request. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 if there was no response
   * @param {Problem[]} problems
   * @param {unknown} [request] the body that was refused
   */
  constructor(status, problems, request) {
    super(problems.map((problem) => wordsFor(problem, request)).join(" "));
    this.status = status;
    this.problems = problems.map((problem) => ({ ...problem, message: wordsFor(problem, request) }));
  }
}

/**
 * Send a request to the board. Returns the JSON of the response, or null if it has none; throws an ApiError for every
 * refusal, and if there is no response.
 *
 * @param {string} method
 * @param {string} path below /api
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<any>}
 */
export async function api(method, path, body) {
  const response = await send(method, path, body);
  const content = parse(await response.text());
  if (response.ok || content?.detail) { // not a proxy that finds no board
    tellAnswer();
  }
  if (response.ok) {
    return content;
  }
  if (response.status === 401) { // its token was renewed: the board shows the page that asks for one
    location.reload();
  }
  throw new ApiError(response.status, problemsOf(response.status, content), body);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} body
 */
async function send(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  const options = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
  try {
    return await fetch(onBoard(`/api${path}`), options);
  } catch {
    throw new ApiError(0, [{ path: [], message: "The board does not answer. Is it still running?" }]);
  }
}

/**
 * Call a function once, when the board answers again.
 *
 * @param {() => void} act
 */
export function whenAnswered(act) {
  waiting.add(act);
}

/** Note that the board has answered. */
export function tellAnswer() {
  const acts = [...waiting];
  waiting.clear();
  acts.forEach((act) => act());
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * @param {number} status
 * @param {any} content FastAPI's body of a refusal
 * @returns {Problem[]}
 */
function problemsOf(status, content) {
  const detail = content?.detail;
  if (Array.isArray(detail) && detail.length) {
    return detail.map(({ loc, msg }, at) => {
      return { path: (loc ?? []).slice(1), message: sentence(msg), broken: content.broken?.[at] };
    });
  }
  return [{ path: [], message: typeof detail === "string" ? detail : `The board refused this (${status}).` }];
}

/**
 * Pydantic's "Input should be …" and "Value error, …" as a sentence for a person.
 *
 * @param {unknown} text
 */
function sentence(text) {
  const words = String(text).replace(/^Value error, /, "").replace(/^Input should/, "This should");
  return /[.!?…]$/.test(words) ? words : `${words}.`;
}

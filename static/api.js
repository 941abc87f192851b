// The board's API: one function that asks and throws, and the stream of what changes.

const RETRY = 1000; // milliseconds until a lost stream is opened again

/** A refusal. Each problem is { path, message }; the path names a part of the request: ["params", "lr"]. */
export class ApiError extends Error {
  constructor(status, problems) {
    super(problems.map((problem) => problem.message).join(" "));
    this.status = status;
    this.problems = problems;
  }
}

/** Ask the board. Returns the answer's JSON, or null if it has none; throws an ApiError for every refusal. */
export async function api(method, path, body) {
  const answer = await send(method, path, body);
  const text = await answer.text();
  const content = parse(text);
  if (answer.ok) {
    return content;
  }
  throw new ApiError(answer.status, problemsOf(answer.status, content));
}

async function send(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  try {
    return await fetch(`/api${path}`, options);
  } catch {
    throw new ApiError(0, [{ path: [], message: "The board does not answer. Is it still running?" }]);
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function problemsOf(status, content) {
  const detail = content?.detail;
  if (Array.isArray(detail) && detail.length) {
    return detail.map(({ loc, msg }) => ({ path: (loc ?? []).slice(1), message: sentence(msg) }));
  }
  return [{ path: [], message: typeof detail === "string" ? detail : `The board refused this (${status}).` }];
}

/** Pydantic's "Input should be …" and "Value error, …" as something one says to a person. */
function sentence(text) {
  const said = String(text).replace(/^Value error, /, "").replace(/^Input should/, "This should");
  return /[.!?…]$/.test(said) ? said : `${said}.`;
}

/**
 * Follow the board's events. `handlers` has a function for each kind of event, called with its data, and `opened`
 * and `lost`. A lost stream is opened again, for ever: the board may have been restarted.
 */
export function follow(handlers) {
  const stream = new EventSource("/api/events");
  stream.addEventListener("open", () => handlers.opened());
  stream.addEventListener("error", () => {
    // Not left to the browser: it waits longer, and gives up on some errors.
    stream.close();
    handlers.lost();
    setTimeout(follow, RETRY, handlers);
  });
  for (const kind of ["runs", "removed", "visdom", "board"]) {
    stream.addEventListener(kind, (event) => handlers[kind](JSON.parse(event.data)));
  }
}

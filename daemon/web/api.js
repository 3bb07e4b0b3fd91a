// The way to the daemon: JSON over the cookie of this session.

export const CSRF = "pitboss-csrf";
const PATIENCE_MS = 15_000;

/** What the daemon refused, in its own words. */
export class Refusal extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

/** Return whether what failed may well succeed a little later. */
export function passes(error) {
  return !(error instanceof Refusal) || error.status >= 500;
}

/** How far this machine's clock is ahead of the daemon's, in milliseconds; below a second it cannot be told. */
export let skewMs = 0;

async function ask(method, path, { body, headers = {} } = {}) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  noteTime(answer.headers.get("Date"));
  if (answer.status === 401) {
    location.reload(); // the session has ended: the same address asks for the token
  }
  const said = await answer.json();
  if (!answer.ok) throw new Refusal(answer.status, said.error ?? answer.statusText);
  return said;
}

function noteTime(header) {
  const told = Date.parse(header ?? "");
  if (Number.isNaN(told)) return;
  const ahead = Date.now() - told; // the header leaves out the fraction of its second
  skewMs = ahead < -1_000 || ahead > 3_000 ? ahead - 500 : 0;
}

/** Return the answer to a question; parameters that are undefined are left out. */
export function get(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return ask("GET", query ? `${path}?${query}` : path);
}

/** Send what changes something. The same key again is the same command. */
export function post(path, body, key) {
  const headers = { "X-Pitboss-CSRF": localStorage.getItem(CSRF) ?? "" };
  if (key) headers["Idempotency-Key"] = key;
  return ask("POST", path, { body, headers });
}

/** Return a key nobody else has; `randomUUID` is not there on every address a browser may ask. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** End the session. */
export async function logOut() {
  await post("/api/logout");
  localStorage.removeItem(CSRF);
  location.reload();
}

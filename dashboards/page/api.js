// Requests to the API, by the session's cookie. Nothing is kept here, least of all a token.

/** An answer that is no success; `problem` is its problem document. `status` 0: no answer at all. */
export class Failed extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || (status ? `HTTP ${status}` : "the server does not answer"));
    this.status = status;
    this.problem = problem;
  }
}

async function call(method, path, { body, headers = {}, signal, signingIn = false } = {}) {
  const sent = { "X-Sendledger": "1", ...headers, ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  let answer;
  try {
    answer = await fetch(path, { method, headers: sent, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed(0, null);
  }
  if (!answer.ok) {
    const failed = new Failed(answer.status, await answer.json().catch(() => null));
    if (answer.status === 401 && !signingIn) window.dispatchEvent(new CustomEvent("signed-out"));
    throw failed;
  }
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, options) => call("GET", path, options);
export const post = (path, body, options) => call("POST", path, { ...options, body });

const SEEN = "sendledger-session"; // no secret: only whether this browser has signed in, so that others are not asked

export const mayBeSignedIn = () => localStorage.getItem(SEEN) !== null;
export const forgetSession = () => localStorage.removeItem(SEEN);

/** Trade a token for the cookie; the token is forgotten with the end of this call. */
export async function signIn(token) {
  await call("POST", "/v1/session", { headers: { Authorization: `Bearer ${token}` }, signingIn: true });
  localStorage.setItem(SEEN, "1");
}

export const signOut = () => call("DELETE", "/v1/session");
export const who = () => call("GET", "/v1/session");

/** The path of a campaign. */
export const campaignPath = (id) => `/v1/campaigns/${encodeURIComponent(id)}`;

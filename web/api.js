// The hub's HTTP interface: one function a call, every failure an ApiError that a person can read.

const TIMEOUT_MS = 10_000;
const KEY_SLOT = "paybell:key";
const TOKEN_SLOT = "paybell:token:";

export class ApiError extends Error {
  /** `fields` maps the name of an input to what is wrong with it. */
  constructor(message, { status = 0, code = "", fields = {} } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

// Secrets live in this tab only, and never in an address.
export const apiKey = () => sessionStorage.getItem(KEY_SLOT) ?? "";
export const keepApiKey = (key) => sessionStorage.setItem(KEY_SLOT, key);
export const forgetApiKey = () => sessionStorage.removeItem(KEY_SLOT);
export const clientToken = (id) => sessionStorage.getItem(TOKEN_SLOT + id) ?? "";
export const keepClientToken = (id, token) => sessionStorage.setItem(TOKEN_SLOT + id, token);

export const health = () => getJson("/health", apiKey(), [503]);
export const stats = () => getJson("/stats", apiKey());
export const createPayment = (fields) => postJson("/v1/payments", fields, apiKey());
export const events = (id, after) => getJson(`${pathOf(id)}/events?limit=100${after ? `&after=${after}` : ""}`, credential(id));
export const cancelPayment = (id) => postJson(`${pathOf(id)}/cancel`, {}, apiKey());
export const deliveries = () => getJson("/v1/deliveries?limit=10", apiKey());
export const sandboxTransfer = (to, amount) => postJson("/sandbox/transfer", { to, amount }, "");
export const sandboxWebhooks = () => getJson("/sandbox/webhooks", "");

/** The QR code as a data: address, because an <img> cannot send a credential. */
export async function qrImage(id) {
  const answer = await send(`${pathOf(id)}/qr.svg`, {}, credential(id));
  if (!answer.ok) throw await problem(answer);
  return `data:image/svg+xml,${encodeURIComponent(await answer.text())}`;
}

/** What opens this one payment: the key if there is one, else the payment's own token. */
export const credential = (id) => apiKey() || clientToken(id);

const pathOf = (id) => `/v1/payments/${encodeURIComponent(id)}`;

/** `alsoFine`: failing statuses whose body is the answer all the same. */
export async function getJson(path, bearer, alsoFine = []) {
  return readJson(await send(path, {}, bearer), alsoFine);
}

/** Any other method; null where the hub answers with nothing. */
export async function sendJson(method, path, body, bearer) {
  const json = body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await send(path, { method, ...json }, bearer);
  return answer.status === 204 ? null : readJson(answer, []);
}

const postJson = (path, body, bearer) => sendJson("POST", path, body, bearer);

async function send(path, init, bearer) {
  const headers = { ...init.headers, ...(bearer && { authorization: `Bearer ${bearer}` }) };
  try {
    return await fetch(path, { ...init, headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (cause) {
    const slow = cause.name === "TimeoutError";
    throw new ApiError(slow ? "The hub took too long to answer." : "The hub cannot be reached. Is it still running?");
  }
}

async function readJson(answer, alsoFine) {
  if (!answer.ok && !alsoFine.includes(answer.status)) throw await problem(answer);
  try {
    return await answer.json();
  } catch {
    throw new ApiError("The hub gave an answer that is not JSON.", { status: answer.status });
  }
}

/** An RFC 9457 problem, or whatever else came with a failing status. */
async function problem(answer) {
  const body = await answer.json().catch(() => ({}));
  const message = body.error ?? body.detail ?? body.title ?? `The hub answered ${answer.status} ${answer.statusText}`.trim();
  const fields = {};
  for (const { pointer = "", detail = "" } of body.errors ?? []) {
    const name = pointer.replace(/^#?\/?/, "").split("/")[0];
    if (name) fields[name] = fields[name] ? `${fields[name]}; ${detail}` : detail;
  }
  return new ApiError(message, { status: answer.status, code: body.code, fields });
}

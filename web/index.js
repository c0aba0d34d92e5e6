// The page's wiring: the form, the payment in the address bar, its live channel, and the demo's extra parts.

import * as api from "./api.js";
import { $, setText } from "./dom.js";
import { Overview } from "./overview.js";
import { PaymentView, amountToPay } from "./payment.js";
import { watchPayment } from "/paybell.js";

const PAYMENT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const SAMPLE_ADDRESS = "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7";
const EVENT_PAGES_MAX = 20;

const view = new PaymentView();
const overview = new Overview({ demo: enterDemo, locked: askForKey });
const BLANK = [$("blank-title").textContent, $("blank-text").textContent];
let demo = false;
let current = null;

prefill();
$("create").addEventListener("submit", create);
$("cancel").addEventListener("click", () => act($("cancel"), () => api.cancelPayment(current.id)));
$("key-form").addEventListener("submit", useKey);
addEventListener("hashchange", openFromAddress);
setInterval(() => view.tick(), 1000);
openFromAddress();

/* The payment being watched ------------------------------------------------------------------------------------ */

function openFromAddress() {
  const id = location.hash.slice(1);
  if (id !== current?.id) open(id);
}

/** `known` is the payment itself, where it was just created. */
function open(id, known = null) {
  current?.live?.close();
  current = null;
  view.clear();
  $("payment").hidden = true;
  showBlank(...BLANK);
  if (PAYMENT_ID.test(id)) watch(id, known);
}

function watch(id, known) {
  const mine = (current = { id, live: null, payment: null });
  if (known) accept(mine, known);
  mine.live = watchPayment({
    id,
    token: api.credential(id),
    onUpdate: (update) => receive(mine, update),
    onConnection: (connection) => drawLive(mine, connection),
  });
}

async function loadEvents(mine) {
  let after = "";
  for (let page = 0; page < EVENT_PAGES_MAX; page++) {
    const { data, next } = await api.events(mine.id, after);
    if (mine !== current) return;
    for (const event of data) view.addEvent(event, "history");
    if (!next) return;
    after = next;
  }
}

async function loadQr(mine, payment) {
  try {
    const image = await api.qrImage(mine.id);
    if (mine !== current) return;
    $("qr").alt = `QR code of the address ${payment.wallet_address}`;
    $("qr").src = image;
  } catch (error) {
    if (mine === current) $("qr").alt = `No QR code: ${error.message}`;
  }
}

function receive(mine, { kind, payment, event }) {
  accept(mine, payment);
  if (kind === "snapshot") catchUp(mine);
  if (kind !== "event") return;
  view.addEvent(event, "socket");
  if (event.type === "payment.completed") ring();
  overview.refresh();
}

/** After a start from a snapshot: what happened before it is in the log. */
function catchUp(mine) {
  loadEvents(mine).catch((error) => mine === current && showError("action-error", error));
}

function accept(mine, payment) {
  if (!mine.payment) loadQr(mine, payment);
  mine.payment = payment;
  view.show(payment);
  drawCheckoutLink(payment);
  const amount = $("sandbox-amount");
  if (amount && amount.dataset.for !== mine.id) {
    amount.dataset.for = mine.id;
    amount.value = amountToPay(payment);
  }
}

/** What a payer would see. Only in the demo, where anyone may play the payer. */
function drawCheckoutLink({ payment_id: id }) {
  const token = api.clientToken(id);
  $("checkout").hidden = !demo;
  $("checkout").href = `/pay/${id}${token && `#${token}`}`;
}

function drawLive(mine, connection) {
  const { state, transport, retryInMs, code, reason } = connection;
  if (!mine.payment && state === "ended") return openFailed(code, reason);
  if (!mine.payment && state === "waiting") showBlank("The hub cannot be reached", "The payment is shown as soon as it can.");
  const text = {
    connecting: "connecting",
    live: transport === "sse" ? "live, over HTTP" : "live",
    waiting: `connection lost, again in ${Math.max(1, Math.round(retryInMs / 1000))} s`,
    ended: `not live: ${reason}`,
  }[state];
  $("live").dataset.state = state;
  setText($("live-text"), text);
}

function openFailed(code, reason) {
  if (code === "unauthorized") askForKey();
  showBlank(code === "not_found" ? "There is no such payment" : "This payment cannot be shown", reason);
}

function showBlank(title, text) {
  $("blank").hidden = false;
  setText($("blank-title"), title);
  setText($("blank-text"), text);
}

function ring() {
  const bell = $("bell");
  bell.classList.remove("ringing");
  bell.getBoundingClientRect();
  bell.classList.add("ringing");
}

/* The form ------------------------------------------------------------------------------------------------------ */

function prefill() {
  const cents = crypto.getRandomValues(new Uint32Array(1))[0] % 99 + 1;
  $("expected_amount_usdt").value = `5.${String(cents).padStart(2, "0")}`;
  $("order_id").value = `ORDER_${Date.now()}`;
}

async function create(submit) {
  submit.preventDefault();
  const form = $("create");
  clearErrors(form);
  const fields = Object.fromEntries(new FormData(form));
  fields.expires_in = Number(fields.expires_in);
  if (!fields.callback_url) delete fields.callback_url;
  $("create-button").disabled = true;
  try {
    const payment = await api.createPayment(fields);
    if (payment.client_token) api.keepClientToken(payment.payment_id, payment.client_token);
    prefill();
    open(payment.payment_id, payment);
    location.hash = payment.payment_id;
    bringToPayment();
    overview.refresh();
  } catch (error) {
    if (error.status === 401) askForKey();
    showFormError(form, error);
  } finally {
    $("create-button").disabled = false;
  }
}

function bringToPayment() {
  const title = $("payment-title");
  title.focus({ preventScroll: true });
  if (title.getBoundingClientRect().bottom > innerHeight * 0.6) $("payment").scrollIntoView();
}

function showFormError(form, error) {
  let first = null;
  const elsewhere = [];
  for (const [name, detail] of Object.entries(error.fields ?? {})) {
    const input = form.elements.namedItem(name);
    if (!input) {
      elsewhere.push(`${name}: ${detail}`);
      continue;
    }
    markInvalid(input, detail);
    first ??= input;
  }
  if (!first || elsewhere.length) showError("create-error", { message: elsewhere.join("; ") || error.message });
  first?.focus();
}

function markInvalid(input, detail) {
  const note = document.createElement("p");
  note.className = "error";
  note.id = `${input.id}-error`;
  note.textContent = detail;
  input.after(note);
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", note.id);
}

function clearErrors(form) {
  $("create-error").hidden = true;
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    $(`${input.id}-error`)?.remove();
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
}

function showError(id, { message }) {
  $(id).hidden = false;
  setText($(id), message);
}

/** Runs what a button asks for; the button rests meanwhile. */
async function act(button, work) {
  $("action-error").hidden = true;
  button.disabled = true;
  try {
    return await work();
  } catch (error) {
    showError("action-error", error);
  } finally {
    button.disabled = false;
    overview.refresh();
  }
}

/* Keys and the demo --------------------------------------------------------------------------------------------- */

function askForKey() {
  $("key-form").hidden = false;
}

function useKey(submit) {
  submit.preventDefault();
  api.keepApiKey($("key").value.trim());
  location.reload();
}

/** Only the demo has a chain that anyone may pay on, and a receiver for its own webhooks. */
function enterDemo() {
  demo = true;
  $("demo").hidden = false;
  if (!$("wallet_address").value) $("wallet_address").value = SAMPLE_ADDRESS;
  if (!$("callback_url").value) $("callback_url").value = `${location.origin}/sandbox/webhook`;
  $("actions").prepend($("sandbox-pay").content.cloneNode(true));
  if (current?.payment) accept(current, current.payment);
  $("sandbox-form").addEventListener("submit", (submit) => {
    submit.preventDefault();
    act($("pay"), () => api.sandboxTransfer(current.payment.wallet_address, $("sandbox-amount").value.trim()))
      .then((sent) => sent && setText($("announce"), "Sent. It lands in the next block."));
  });
}

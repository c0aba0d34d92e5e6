// What an operator does on the dashboard, each deed from the button to what became of it at the hub and at the receiver.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { act, assertFine, assertLooksRight, confirm, dialog, live, openOffice, said, settled, until, visit } from "./admin.mjs";

const SECRET = /^whsec_[A-Za-z0-9+/=]{32,}$/;
let office;

before(async () => { office = await openOffice(); }, { timeout: 60_000 });
beforeEach(() => office.anew(), { timeout: 60_000 });
after(() => office?.close());

const paymentNow = (payment) => office.call("GET", `/v1/payments/${payment.id}`);
const shownSecret = (page) => dialog(page).locator(".secret code").textContent();

/** Reads the secret of the open dialog, which Escape must not close, and puts it away. */
async function takeSecret(page) {
  await page.keyboard.press("Escape");
  const secret = await shownSecret(page);
  await dialog(page).locator("button.copy").click();
  await dialog(page).locator("button.copy", { hasText: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await confirm(page, "I have stored it");
  return secret;
}

/**
 * Holds the answers to this call back until `meanwhile` is over: what the hub has done by then is not told yet, and only this
 * answer tells it.
 */
async function answeredLate(page, method, path, meanwhile) {
  await page.route(path, async (route) => {
    if (route.request().method() !== method) return route.continue();
    const answer = await route.fetch();
    await meanwhile();
    await route.fulfill({ response: answer });
  });
}

/** Whatever somebody may do who does not want to wait. */
async function triesToLeave(page) {
  assert.ok(await dialog(page).getByRole("button", { name: "Cancel" }).isDisabled());
  // The second one no page can prevent.
  for (let i = 0; i < 2; i++) await page.keyboard.press("Escape");
  await dialog(page).waitFor();
  await page.evaluate(() => { location.hash = "#/chains"; });
  await page.locator("h1", { hasText: "Chains" }).waitFor();
  await dialog(page).waitFor();
}

describe("an operator", { timeout: 300_000 }, () => {
  test("cancels a payment after being asked, and reads why the hub refuses one", () => office.withPage("payments", async (page, watch) => {
    const payment = await office.shop.createPayment();
    await visit(page, `payments/${payment.id}`);
    await act(page, "Cancel payment");
    await dialog(page).waitFor();
    await assertFine(page, "asking");
    await assertLooksRight(page, "21-cancel");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Keep it", "the safe answer has the focus");
    await page.keyboard.press("Escape");
    await dialog(page).waitFor({ state: "detached" });
    assert.equal((await paymentNow(payment)).status, "pending");
    await act(page, "Cancel payment");
    await confirm(page, "Cancel the payment");
    await said(page, "The payment is cancelled.");
    await page.locator("h1 .badge[data-word=cancelled]").waitFor();
    assert.equal((await paymentNow(payment)).status, "cancelled");
    assert.equal(await page.getByRole("button", { name: "Cancel payment" }).count(), 0);

    const other = await office.shop.createPayment();
    await visit(page, `payments/${other.id}`);
    await act(page, "Cancel payment");
    await office.shop.pay(other);
    await until("it is completed", async () => (await paymentNow(other)).status === "completed");
    watch.expected.push(/status of 409/);
    await dialog(page).getByRole("button", { name: "Cancel the payment" }).click();
    await dialog(page).locator("[role=alert]", { hasText: "completed" }).waitFor();
    await assertFine(page, "refused");
    await act(page, "Keep it");
  }));

  test("assigns money that settled nothing, with both amounts in sight", () => office.withPage("transfers", async (page) => {
    await live(page);
    const payment = await office.shop.createPayment();
    await office.shop.pay(payment, "3.05");
    await page.locator("tbody tr", { hasText: "3.05 USDT" }).waitFor();
    assert.match(await page.locator("tbody tr").first().textContent(), /not the amount asked for/);
    await page.getByRole("link", { name: "Assign 3.05 USDT" }).click();
    await page.locator("h1", { hasText: "3.05 USDT" }).waitFor();
    await page.fill("#q", payment.order_id);
    await page.press("#q", "Enter");
    await page.getByRole("button", { name: `Assign it to ${payment.order_id}` }).first().click();
    await dialog(page).getByText("It cannot be undone.").waitFor();
    assert.deepEqual(await dialog(page).locator(".sides .amount").allTextContents(), ["3.05 USDT", `${payment.amount_to_pay} USDT`]);
    assert.equal(await dialog(page).locator(".warn", { hasText: "not the same" }).count(), 1);
    await assertLooksRight(page, "22-assign");
    await confirm(page, "Assign it");
    await said(page, `3.05 USDT now settle ${payment.order_id}`);
    await page.locator("h1", { hasText: payment.order_id }).waitFor();
    await page.locator("h1 .badge[data-word=completed]").waitFor();
    await page.locator("table.data", { hasText: "assigned by hand" }).waitFor();
    assert.equal((await paymentNow(payment)).received_amount, "3.05");
    await page.locator("[data-type='transfer.assigned']").waitFor();
    await visit(page, "transfers");
    await page.locator(".empty", { hasText: "Nothing is left over" }).waitFor();
  }));

  test("sends a webhook again that its receiver did not take at first", () => office.withPage("payments", async (page) => {
    const { receiver } = office;
    // Else the hub tries again by itself, before a slow test does.
    receiver.answer = () => ({ status: 500, text: "out of ink", headers: { "retry-after": "3600" } });
    const payment = await office.shop.createPayment({ callback_url: receiver.url });
    await until("it was refused", async () => (await office.call("GET", `/v1/deliveries?payment_id=${payment.id}`)).data[0]?.attempts === 1);
    await visit(page, `payments/${payment.id}`);
    const row = page.locator(".deliveries li");
    await row.locator("summary", { hasText: "HTTP 500" }).click();
    await row.locator(".attempts .said", { hasText: "out of ink" }).waitFor();
    assert.match(await row.locator(".attempts tbody tr").first().textContent(), /HTTP 500.*ms.*out of ink.*in (59|60) min/);
    receiver.answer = () => ({ status: 204, text: "" });
    await act(page, "Send it again now");
    await said(page, "on its way again");
    await page.locator(".deliveries li[data-state=delivered]").waitFor();
    await row.locator(".attempts tbody tr", { hasText: "HTTP 204" }).waitFor();
    assert.ok(await row.locator("details").evaluate((node) => node.open), "the row is still open");
    const ids = receiver.got.filter(({ body }) => body.payment_id === payment.id).map(({ headers, status }) => [headers["webhook-id"], status]);
    assert.equal(new Set(ids.map(([id]) => id)).size, 1);
    assert.deepEqual(ids.map(([, status]) => status), [500, 204]);
    await visit(page, "deliveries?state=delivered");
    await page.locator(".deliveries li[data-state=delivered]").first().waitFor();
    assert.equal(await page.locator(".deliveries li:not([data-state=delivered])").count(), 0);
  }));

  test("makes an endpoint, tries it, changes it, gives it a new secret, stops it, and brings in what it missed", () => office.withPage("endpoints", async (page, watch) => {
    const { receiver } = office;
    receiver.answer = () => ({ status: 200, text: "" });
    await act(page, "Add endpoint");
    await page.getByLabel("only these").check();
    await page.getByLabel("URL").fill("not a url");
    await page.getByLabel("payment.completed", { exact: true }).check();
    watch.expected.push(/status of 400/);
    await dialog(page).getByRole("button", { name: "Add endpoint" }).click();
    await page.locator("#field-url[aria-invalid=true]").waitFor();
    assert.match(await dialog(page).locator(".field .error").textContent(), /url is not usable/);
    await assertLooksRight(page, "23-endpoint-form");
    await page.getByLabel("URL").fill(`${receiver.url}/books`);
    await page.getByLabel("Description").fill("the books");
    await dialog(page).getByRole("button", { name: "Add endpoint" }).click();
    await dialog(page).locator(".secret").waitFor();
    await assertLooksRight(page, "24-secret");
    assert.match(await takeSecret(page), SECRET);
    await page.locator("h1", { hasText: `${receiver.url}/books` }).waitFor();
    const [endpoint] = (await office.call("GET", "/v1/endpoints")).data;
    assert.deepEqual(endpoint.events, ["payment.completed"]);

    await act(page, "Send a test");
    await page.locator("#test-result.good", { hasText: "It works: HTTP 200" }).waitFor();
    assert.ok(receiver.got.some(({ url, body }) => url === "/hooks/books" && body.type === "endpoint.test"));
    receiver.answer = () => ({ status: 418, text: "a teapot" });
    await act(page, "Send a test");
    await page.locator("#test-result.bad", { hasText: "HTTP 418" }).waitFor();
    await page.locator("#test-result pre", { hasText: "a teapot" }).waitFor();
    await assertFine(page, "a failed test");
    receiver.answer = () => ({ status: 200, text: "" });

    await act(page, "Edit");
    await page.getByLabel("everything, also").check();
    assert.ok(await dialog(page).locator(".checks").isHidden());
    await confirm(page, "Save");
    await said(page, "The endpoint is changed.");
    assert.deepEqual((await office.call("GET", `/v1/endpoints/${endpoint.id}`)).events, ["*"]);

    await act(page, "Rotate secret");
    await dialog(page).getByRole("button", { name: "Make a new secret" }).click();
    await dialog(page).locator(".secret").waitFor();
    assert.match(await takeSecret(page), SECRET);
    await page.locator("dd", { hasText: "signs too until in 23 h" }).waitFor();

    await act(page, "Disable");
    await confirm(page, "Disable it");
    await page.locator("h1 .badge[data-word=disabled]").waitFor();
    const missed = await office.shop.createPayment();
    await act(page, "Enable");
    await page.locator("h1 .badge[data-word=enabled]").waitFor();
    await act(page, "Recover …");
    await assertFine(page, "recover");
    await confirm(page, "Recover");
    await said(page, "events are sent again");
    await until("the missed event arrived", () => receiver.got.some(({ url, body }) => url === "/hooks/books" && body.payment_id === missed.id));

    await act(page, "Delete");
    await confirm(page, "Delete it");
    await said(page, "The endpoint is deleted.");
    await page.locator(".empty", { hasText: "No endpoints yet" }).waitFor();
    assert.deepEqual((await office.call("GET", "/v1/endpoints")).data, []);
  }));

  // Found by a review: whoever pressed Escape or went elsewhere while the hub made a secret never saw it.
  for (const [what, view, open, yes, path] of [
    ["a new secret", "endpoints/callbacks", "Rotate secret", "Make a new secret", "**/v1/endpoints/callbacks/rotate"],
    ["an endpoint", "endpoints", "Add endpoint", "Add endpoint", "**/v1/endpoints"],
  ]) {
    test(`is shown the secret of ${what} wherever the page is by then`, () => office.withPage(view, async (page) => {
      await settled(page);
      await answeredLate(page, "POST", path, () => triesToLeave(page));
      await act(page, open);
      if (what === "an endpoint") await page.getByLabel("URL").fill(office.receiver.url);
      await dialog(page).getByRole("button", { name: yes }).click();
      await dialog(page).locator(".secret").waitFor();
      assert.match(await takeSecret(page), SECRET);
      assert.match(page.url(), /#\/chains$/, "nobody is led away from where they went");
    }));
  }

  test("reads why no secret was made after trying to leave meanwhile", () => office.withPage("endpoints/callbacks", async (page, watch) => {
    watch.expected.push(/status of 503/);
    await settled(page);
    await page.route("**/v1/endpoints/callbacks/rotate", async (route) => {
      await triesToLeave(page);
      await route.fulfill({ status: 503, json: { detail: "the store is busy" } });
    });
    await act(page, "Rotate secret");
    await dialog(page).getByRole("button", { name: "Make a new secret" }).click();
    await dialog(page).locator("[role=alert]", { hasText: "the store is busy" }).waitFor();
    await act(page, "Cancel");
    await dialog(page).waitFor({ state: "detached" });
  }));

  // A recovery may go on for thousands of pieces. The lock that keeps secrets in sight must not keep it from being ended.
  test("ends a recovery by leaving it", () => office.withPage("endpoints/callbacks", async (page) => {
    await settled(page);
    let pieces = 0;
    await page.route("**/v1/endpoints/callbacks/recover", (route) => {
      pieces += 1;
      return route.fulfill({ json: { events_looked_at: 500, recovered: 0, next_after: 500 * pieces, complete: false } });
    });
    await act(page, "Recover …");
    await dialog(page).getByRole("button", { name: "Recover", exact: true }).click();
    await dialog(page).locator(".hint", { hasText: "events looked at" }).waitFor();
    await act(page, "Cancel");
    await dialog(page).waitFor({ state: "detached" });
    const asked = pieces;
    await visit(page, "payments");
    await live(page);
    assert.ok(pieces <= asked + 1, "the piece under way was the last one");
  }));

  test("who keeps a view of endpoints open asks for them every ten seconds, whatever happens meanwhile", () => office.withPage("overview", async (page) => {
    await live(page);
    const [asked, stats] = [[], []];
    page.on("request", (request) => {
      const { pathname } = new URL(request.url());
      if (pathname === "/v1/endpoints" && request.method() === "GET") asked.push(Date.now());
      if (pathname === "/stats") stats.push(Date.now());
    });
    await visit(page, "endpoints");
    // What happens makes the tab ask for the hub's counters once a second.
    await until("it is busy", async () => {
      await office.shop.createPayment();
      return stats.length >= 4;
    });
    await visit(page, "chains");
    await visit(page, "endpoints");
    await until("it was asked again", async () => asked.length > 1);
    assert.equal(asked.length, 2);
    assert.ok(asked[1] - asked[0] >= 9_900, `asked again after ${asked[1] - asked[0]} ms`);
  }));

  test("gives all callbacks a new secret", () => office.withPage("endpoints/callbacks", async (page) => {
    await settled(page);
    await act(page, "Rotate secret");
    await dialog(page).getByRole("button", { name: "Make a new secret" }).click();
    await dialog(page).locator(".secret").waitFor();
    assert.match(await takeSecret(page), SECRET);
    await page.locator("dd", { hasText: "signs too until" }).waitFor();
    const { old_key_signs_until: until } = await office.call("GET", "/v1/endpoints/callbacks");
    assert.ok(until * 1000 > Date.now());
  }));
});

describe("API keys", { timeout: 300_000 }, () => {
  // The dashboard itself asks all the while. What it asked between the making of the first key and the answer was refused, so
  // it signed out, and took the dialog along with the only sight of a key without which nobody gets in any more. Found by a
  // review: so did Escape.
  test("the first one closes the hub, and this tab has it", () => office.withPage("keys", async (page, watch) => {
    watch.tolerated.push(/status of 401/);
    await page.route("**/v1/keys", async (route) => {
      if (route.request().method() !== "POST") return route.continue();
      const refused = page.waitForResponse((answer) => answer.status() === 401);
      const answer = await route.fetch();
      await refused;
      await page.keyboard.press("Escape");
      await page.keyboard.press("Escape");
      await route.fulfill({ response: answer });
    });
    await page.locator(".empty", { hasText: "There are no keys yet" }).waitFor();
    await page.locator("#who", { hasText: "No key needed" }).waitFor();
    await act(page, "Make the first key");
    await dialog(page).locator(".warn", { hasText: "every caller needs a key" }).waitFor();
    await assertLooksRight(page, "25-first-key");
    await page.getByLabel("Name").fill("operator");
    await dialog(page).getByRole("button", { name: "Make the key" }).click();
    await dialog(page).locator(".secret").waitFor();
    await page.evaluate(() => { location.hash = "#/chains"; });
    await page.locator("h1", { hasText: "Chains" }).waitFor();
    const admin = await takeSecret(page);
    await visit(page, "keys");
    assert.match(admin, /^pb_/);
    await page.locator("tr", { hasText: "this tab's" }).waitFor();
    await page.locator("#who", { hasText: "operator · admin" }).waitFor();
    await live(page);
    await assert.rejects(office.call("GET", "/v1/payments"), /401/);
    assert.ok(await office.call("GET", "/v1/payments", undefined, admin));
    assert.doesNotMatch(page.url(), /pb_/);
  }));

  // Found by a review: the line of the time before keys ends with the first key. Where its end came after the answer, the tab
  // took that for a refusal of the key that it had just got, and forgot it.
  test("the first one stays with its tab when the line from before it ends late", () => office.withPage("keys", async (page, watch) => {
    watch.tolerated.push(/status of 401/);
    let endLine;
    const ended = new Promise((resolve) => { endLine = resolve; });
    await page.routeWebSocket("**/ws", (socket) => {
      socket.connectToServer().onClose((code, reason) => endLine(() => socket.close({ code, reason })));
    });
    await page.reload();
    await live(page);
    await act(page, "Make the first key");
    await page.getByLabel("Name").fill("operator");
    await dialog(page).getByRole("button", { name: "Make the key" }).click();
    await dialog(page).locator(".secret").waitFor();
    (await ended)();
    await page.locator("#line[data-state=ended]").waitFor();
    const admin = await takeSecret(page);
    await page.locator("#who", { hasText: "operator · admin" }).waitFor();
    await live(page);
    assert.equal(await page.evaluate(() => sessionStorage.getItem("paybell:key")), admin);
  }));

  test("one opens the door of a tab, a wrong one does not, and it is gone after signing out", () => withKey("payments", async (admin, page, watch) => {
    watch.expected.push(/status of 401.*keys\/current/, /status of 401.*keys\/current/);
    await page.getByLabel("API key").waitFor();
    assert.ok(await page.locator("#side").isHidden(), "nothing of the hub is shown");
    await page.getByLabel("API key").fill("pb_wrong_key");
    await page.keyboard.press("Enter");
    await page.locator("#key-error", { hasText: "does not open the hub" }).waitFor();
    await assertLooksRight(page, "26-sign-in");
    await signIn(page, admin);
    await page.locator("h1", { hasText: "Payments" }).waitFor();
    await live(page);
    await page.reload();
    await live(page);
    await act(page, "Sign out");
    await page.getByLabel("API key").waitFor();
    assert.equal(await page.evaluate(() => JSON.stringify(sessionStorage)), "{}");
  }));

  test("below admin do what they may and are offered nothing else", () => withKey("payments", async (admin, page, watch) => {
    watch.expected.push(/status of 401.*keys\/current/);
    const [reader, writer] = await Promise.all([["bookkeeper", "read"], ["web shop", "write"]].map(([name, scope]) => office.call("POST", "/v1/keys", { name, scope }, admin)));
    const payment = await office.call("POST", "/v1/payments", { wallet_address: "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7", expected_amount_usdt: "8.25", order_id: "scopes", callback_url: office.receiver.url }, admin);
    await office.call("POST", "/v1/endpoints", { url: office.receiver.url }, admin);
    await signIn(page, reader.key);
    await live(page);
    const offered = async (view) => {
      await visit(page, view);
      return page.locator("#main").getByRole("button").evaluateAll((buttons) => buttons.filter(({ className }) => className !== "copy").map(({ textContent }) => textContent));
    };
    assert.deepEqual(await offered(`payments/${payment.payment_id}`), []);
    await page.locator(".deliveries summary").first().click();
    assert.equal(await page.getByRole("button", { name: "Send it again now" }).count(), 0);
    const [endpoint] = (await office.call("GET", "/v1/endpoints", undefined, admin)).data;
    for (const view of ["endpoints", `endpoints/${endpoint.id}`, "endpoints/callbacks", "keys", "deliveries", "chains"]) assert.deepEqual(await offered(view), [], view);
    await visit(page, "keys");
    await page.locator(".empty", { hasText: "takes a key of scope admin" }).waitFor();
    await assertFine(page, "keys of others");
    await act(page, "Sign out");
    await signIn(page, writer.key);
    assert.deepEqual(await offered(`payments/${payment.payment_id}`), ["Cancel payment"]);
    await assertFine(page, "what a writer sees");
    await act(page, "Cancel payment");
    await confirm(page, "Cancel the payment");
    await page.locator("h1 .badge[data-word=cancelled]").waitFor();
  }));

  test("of too small a scope are told which one it takes", () => withKey("payments", async (admin, page, watch) => {
    watch.expected.push(/status of 401.*keys\/current/, /status of 403.*rotate/);
    const { key } = await office.call("POST", "/v1/keys", { name: "a liar", scope: "read" }, admin);
    // A page that believes to be more than it is offers what the hub then refuses.
    await page.route("**/v1/keys/current", async (route) => {
      const answer = await route.fetch();
      if (answer.ok()) await route.fulfill({ response: answer, json: { ...(await answer.json()), scope: "admin" } });
      else await route.fulfill({ response: answer });
    });
    await signIn(page, key);
    await visit(page, "endpoints/callbacks");
    await act(page, "Rotate secret");
    await dialog(page).getByRole("button", { name: "Make a new secret" }).click();
    await dialog(page).locator("[role=alert]", { hasText: "admin" }).waitFor();
    await act(page, "Cancel");
    await page.locator("h1", { hasText: "callbacks" }).waitFor();
  }));

  test("are listed, made and revoked; whoever used one is signed out at once", () => withKey("keys", async (admin, page, watch) => {
    watch.expected.push(/status of 401.*keys\/current/);
    await signIn(page, admin);
    await page.locator("tbody tr", { hasText: "operator" }).waitFor();
    await act(page, "Make a key");
    await page.getByLabel("Name").fill("night shift");
    await dialog(page).getByRole("radio", { name: /^read/ }).check();
    await assertLooksRight(page, "27-key-form");
    await dialog(page).getByRole("button", { name: "Make the key" }).click();
    await dialog(page).locator(".secret").waitFor();
    const key = await takeSecret(page);
    await page.locator("tbody tr", { hasText: "night shift" }).waitFor();
    await assertLooksRight(page, "10-keys");
    await office.withPage("payments", async (other, watchOther) => {
      watchOther.tolerated.push(/status of 401/);
      await signIn(other, key);
      await live(other);
      await act(page, "Revoke night shift");
      await dialog(page).getByText("It cannot be undone.").waitFor();
      await confirm(page, "Revoke it");
      await page.locator("tbody tr", { hasText: "night shift" }).locator(".badge[data-word=revoked]").waitFor();
      await other.getByLabel("API key").waitFor();
      assert.ok((await other.locator("#key-error").textContent()).length > 10, "it says why");
      assert.equal(await other.evaluate(() => JSON.stringify(sessionStorage)), "{}");
    });
    watch.expected.push(/status of 409/);
    await act(page, "Revoke operator");
    await dialog(page).locator(".warn", { hasText: "you will be signed out" }).waitFor();
    await dialog(page).getByRole("button", { name: "Revoke it" }).click();
    await dialog(page).locator("[role=alert]", { hasText: "admin" }).waitFor();
    await act(page, "Cancel");
  }));

  /** On a hub that has its first key. */
  async function withKey(view, run) {
    const { key } = await office.call("POST", "/v1/keys", { name: "operator", scope: "admin" });
    await office.withPage(view, (page, watch) => run(key, page, watch));
  }

  async function signIn(page, key) {
    await page.getByLabel("API key").fill(key);
    await page.keyboard.press("Enter");
    await settled(page);
  }
});

// The dashboard of a real hub in a real browser: what it shows, how it keeps up, and what it must never do.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { LOOKS, assertFine, assertLooksRight, live, openOffice, settled, startSlowChain, until, visit, wear } from "./admin.mjs";

const HOSTILE = `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`;
const STORM_EVENTS = 1_000;
const STORM_SECONDS = 5;
/** The longest that a page may stand still under a storm, on a machine that runs the hub in its debug build beside it. */
const FROZEN_MS = 3_000;
/** Of three seconds each: more than the 20 that a hub may be behind, and than the ten minutes that a chain may be ahead of its clock. */
const AHEAD_BLOCKS = 215;
let office;

before(async () => { office = await openOffice(); }, { timeout: 60_000 });
beforeEach(() => office.anew(), { timeout: 60_000 });
after(() => office?.close());

const rowOf = (page, payment) => page.locator(`tr[data-key="${payment.id}"]`);
const badgeOf = (page, payment, status) => rowOf(page, payment).locator(`.badge[data-word=${status}]`).waitFor();
const statusIs = (payment, status) => until(`it is ${status}`, async () => (await office.shop.paymentNow(payment)).status === status);
const tile = (page, name) => page.locator(`[data-key="tile ${name}"] dd`).evaluate((node) => node.firstChild.textContent);

describe("the dashboard", { timeout: 600_000 }, () => {
  test("of an empty hub says in every view what would be there, under a strict policy", () => office.withPage("overview", async (page, watch, answer) => {
    const policy = answer.headers()["content-security-policy"] ?? "";
    assert.match(policy, /default-src 'none'.*script-src 'self'; style-src 'self'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    await live(page);
    for (const [view, sentence] of [
      ["overview", /Nothing has happened yet/], ["payments", /No payments yet/], ["transfers", /Nothing is left over/],
      ["deliveries", /No webhook was owed yet/], ["endpoints", /No endpoints yet/], ["keys", /There are no keys yet/],
    ]) {
      await visit(page, view);
      await page.locator(".empty", { hasText: sentence }).waitFor();
      await assertFine(page, `${view}, empty`);
    }
    await visit(page, "chains");
    await page.locator(".badge[data-word=idle]").waitFor();
  }));

  test("takes the keyboard along: a way past the navigation, and the heading of each view", () => office.withPage("overview", async (page) => {
    await settled(page);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await page.locator("#nav a[data-noun=payments]").press("Enter");
    await page.waitForFunction(() => document.activeElement.matches("h1"));
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Payments");
    assert.equal(await page.title(), "Payments · paybell");
    assert.equal(await page.locator("#nav [aria-current=page]").textContent(), "Payments");
    await page.goBack();
    await page.waitForFunction(() => document.activeElement.textContent === "Overview");
  }));

  // Its strip of parts showed the first ones, whichever the view was, when a wide window had become a narrow one.
  test("shows on a phone which part it is, and no amount in two pieces", () => office.withPage("keys", async (page) => {
    await live(page);
    await wear(page, LOOKS[0]);
    await page.waitForFunction(() => {
      const { left, right } = document.querySelector("#nav [aria-current]").getBoundingClientRect();
      return left >= 0 && right <= innerWidth;
    });
    const payment = await office.shop.createPayment({ expected_amount_usdt: "987654.321098" });
    await office.shop.pay(payment, "999999.999999");
    await visit(page, "transfers");
    await page.getByRole("link", { name: "Assign 999999.999999 USDT" }).click();
    await page.getByRole("button", { name: `Assign it to ${payment.order_id}` }).click();
    const amounts = page.locator("dialog .sides .amount");
    await amounts.nth(1).waitFor();
    const heights = await amounts.evaluateAll((all) => all.map((one) => one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight)));
    assert.deepEqual(heights.map(Math.round), [1, 1], "each stands on one line");
    await assertFine(page, "large amounts on a phone");
  }));

  test("shows payments as they happen, without being loaded again", () => office.withPage("payments", async (page, watch) => {
    await live(page);
    await page.evaluate(() => { globalThis.sameDocument = true; });
    const payment = await office.shop.createPayment();
    await badgeOf(page, payment, "pending");
    await office.shop.pay(payment);
    await badgeOf(page, payment, "confirming");
    await badgeOf(page, payment, "completed");
    const cells = await rowOf(page, payment).locator("td").allTextContents();
    assert.ok(cells.includes(`${payment.amount_to_pay} USDT`), "money is the exact text");
    assert.equal(watch.sent.filter(({ subscribe }) => subscribe?.channel === "payments").length, 1, "one line for everything");

    await visit(page, "overview");
    await page.waitForFunction(() => document.querySelector('[data-key="tile Completed today"] .note')?.textContent === "1 in all");
    await page.locator(".feed [data-type='payment.completed']").first().waitFor();
    const waiting = Number(await tile(page, "Waiting"));
    const another = await office.shop.createPayment();
    await page.waitForFunction((count) => document.querySelector('[data-key="tile Waiting"] dd').textContent === String(count), waiting + 1);
    await page.locator(".feed li", { hasText: another.order_id }).waitFor();
    assert.ok(await page.evaluate(() => globalThis.sameDocument), "the page was never loaded again");
  }));

  test("keeps focus, scroll and what is open while events come in", () => office.withPage("payments", async (page) => {
    await live(page);
    const payment = await office.shop.createPayment({ metadata: { basket: "tea" } });
    await rowOf(page, payment).locator("a").click();
    const created = page.locator("[data-type='payment.created']");
    await created.locator("summary").click();
    await created.locator("pre").waitFor();
    assert.equal(JSON.parse(await created.locator("pre").textContent()).metadata.basket, "tea");
    await created.locator("summary").focus();
    await page.evaluate(() => scrollTo(0, 120));
    const scrolled = await page.evaluate(() => scrollY);
    await office.shop.pay(payment);
    await page.locator(".progress-line", { hasText: /\d+ of \d+ confirmations/ }).waitFor();
    await page.locator("[data-type='payment.completed']").waitFor();
    await page.locator("h1 .badge[data-word=completed]").waitFor();
    assert.ok(await created.locator("details").evaluate((node) => node.open), "it is still open");
    assert.ok(await created.locator("summary").evaluate((node) => node === document.activeElement), "and has the focus");
    assert.ok(Math.abs((await page.evaluate(() => scrollY)) - scrolled) < 200, "the page did not jump");
    const types = await page.locator("ol.rows > li").evaluateAll((rows) => rows.map(({ dataset }) => dataset.type));
    assert.deepEqual(types, ["payment.completed", "payment.detected", "payment.created"]);
  }));

  test("leads to the payer's page where this tab has the payment's token, else to the test page", () => office.withPage("payments", async (page) => {
    const payment = await office.shop.createPayment();
    await visit(page, `payments/${payment.id}`);
    await page.evaluate(([id, token]) => sessionStorage.setItem(`paybell:token:${id}`, token), [payment.id, payment.token]);
    await page.reload();
    const [checkout] = await Promise.all([page.context().waitForEvent("page"), page.getByRole("link", { name: "Open checkout" }).click()]);
    await checkout.locator("body", { hasText: payment.amount_to_pay }).waitFor();
    assert.equal(new URL(checkout.url()).pathname, `/pay/${payment.id}`);
    await checkout.close();
    await page.evaluate((id) => sessionStorage.removeItem(`paybell:token:${id}`), payment.id);
    await page.reload();
    await page.getByRole("link", { name: "Open on the test page" }).click();
    await page.locator(`#payment[data-id="${payment.id}"]`).waitFor();
  }));

  test("holds new rows back while somebody points at the list", () => office.withPage("payments", async (page) => {
    await live(page);
    await badgeOf(page, await office.shop.createPayment(), "pending");
    await page.locator("tbody tr").first().hover();
    const payment = await office.shop.createPayment();
    const show = page.getByRole("button", { name: "Show 1 new payment" });
    await show.waitFor();
    assert.equal(await rowOf(page, payment).count(), 0);
    await show.click();
    await rowOf(page, payment).waitFor();
  }));

  test("finds payments by whatever is at hand, by status, and page by page", () => office.withPage("payments", async (page) => {
    const paid = await office.shop.createPayment();
    await office.shop.pay(paid);
    await statusIs(paid, "completed");
    const hash = (await office.shop.paymentNow(paid)).transaction_hash;
    for (let i = 0; i < 60; i++) await office.shop.createPayment();
    await page.reload();
    await settled(page);
    assert.equal(await page.locator("tbody tr").count(), 50);
    await page.getByRole("button", { name: "Show older" }).click();
    await rowOf(page, paid).waitFor();
    for (const text of [paid.order_id, paid.id, hash, `0x${hash}`]) {
      await page.fill("#q", text);
      await page.press("#q", "Enter");
      await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
      await rowOf(page, paid).waitFor();
    }
    await page.fill("#q", paid.wallet_address);
    await page.press("#q", "Enter");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 50);
    await page.fill("#q", "no-such-order");
    await page.press("#q", "Enter");
    await page.locator(".empty", { hasText: "no-such-order" }).waitFor();
    await page.fill("#q", "");
    await page.press("#q", "Enter");
    await page.getByRole("link", { name: "Completed" }).click();
    await rowOf(page, paid).waitFor();
    assert.equal(await page.locator("tbody .badge:not([data-word=completed])").count(), 0);
    await rowOf(page, paid).locator("a").click();
    await page.locator("h1", { hasText: paid.order_id }).waitFor();
    await page.goBack();
    await rowOf(page, paid).waitFor();
    assert.match(page.url(), /status=completed/, "going back finds the same list");
  }));

  test("shows hostile data as text", () => office.withPage("payments", async (page) => {
    office.receiver.answer = () => ({ status: 500, text: HOSTILE });
    const payment = await office.shop.createPayment({ order_id: HOSTILE, metadata: { [HOSTILE]: HOSTILE }, callback_url: office.receiver.url });
    await office.call("POST", "/v1/endpoints", { url: `${office.receiver.url}?q=<b>`, description: HOSTILE });
    await office.shop.pay(payment, "1.234567");
    await until("its webhook was refused", async () => (await office.call("GET", `/v1/deliveries?payment_id=${payment.id}`)).data.some(({ attempts }) => attempts > 0));
    for (const view of ["overview", "payments", `payments/${payment.id}`, "transfers", "deliveries", "endpoints", "endpoints/ep_1"]) {
      await visit(page, view);
      if (!["transfers", "deliveries"].includes(view)) await page.locator("#main", { hasText: "<img src=x" }).waitFor();
      assert.equal(await page.locator("#main img, #main script, #main b > img").count(), 0, view);
    }
    await visit(page, `payments/${payment.id}`);
    await page.locator(".deliveries summary", { hasText: "HTTP 500" }).first().click();
    await page.locator(".attempts .said", { hasText: "<img src=x" }).first().waitFor();
    assert.doesNotMatch(await page.title(), /^broken/);
  }));

  test("stays usable in a storm of events, and shows in the end what is", () => office.withPage("payments", async (page) => {
    await live(page);
    await page.evaluate(() => {
      globalThis.longest = 0;
      let last = performance.now();
      const step = (now) => { globalThis.longest = Math.max(globalThis.longest, now - last); last = now; requestAnimationFrame(step); };
      requestAnimationFrame(step);
    });
    const rate = STORM_EVENTS / STORM_SECONDS;
    const begun = Date.now();
    const made = [];
    for (let second = 0; second < STORM_SECONDS; second++) {
      for (let lot = 0; lot < 10; lot++) {
        made.push(...(await Promise.all(Array.from({ length: rate / 10 }, (_, i) =>
          office.shop.createPayment({ expected_amount_usdt: `4.${100_000 + made.length + i}` })))));
      }
      if (second === 1) await page.locator("#nav a[data-noun=overview]").click();
      if (second === 3) await page.locator("#nav a[data-noun=payments]").click();
    }
    const took = (Date.now() - begun) / 1000;
    await badgeOf(page, made.at(-1), "pending");
    assert.ok(await page.locator("tbody tr").count() <= 500, "the list is bounded");
    const longest = await page.evaluate(() => Math.round(globalThis.longest));
    console.log(`${made.length} events in ${took.toFixed(1)} s; the page stood still for at most ${longest} ms`);
    assert.ok(longest < FROZEN_MS, `the page stood still for ${longest} ms`);
  }));

  test("comes back after a restart of the hub and shows what happened meanwhile, once", () => office.withPage("payments", async (page, watch) => {
    watch.tolerated.push(/Failed to load resource|WebSocket connection|ERR_/);
    await live(page);
    await page.evaluate(() => { globalThis.sameDocument = true; });
    const before = await office.shop.createPayment();
    await badgeOf(page, before, "pending");
    await office.shop.hub.kill();
    await page.locator("#line[data-state=waiting]").waitFor();
    await page.locator("#banner .notice", { hasText: "cannot be reached" }).waitFor();
    await assertFine(page, "without the hub");
    office.shop.proxy.to = null;
    await office.startHub();
    const payment = await office.shop.createPayment();
    await live(page);
    await badgeOf(page, payment, "pending");
    await page.locator("#banner .notice").waitFor({ state: "detached" });
    const resumed = watch.sent.filter(({ subscribe }) => subscribe?.channel === "payments").at(-1);
    assert.ok(resumed.subscribe.since.seq > 0, "it went on after the last event that it saw");
    assert.ok(await page.evaluate(() => globalThis.sameDocument), "the page was never loaded again");
  }));

  test("reads everything anew where the hub has another log", () => office.withPage("payments", async (page, watch) => {
    watch.tolerated.push(/Failed to load resource|WebSocket connection|ERR_/);
    await live(page);
    await badgeOf(page, await office.shop.createPayment(), "pending");
    await office.anew();
    await page.locator(".empty", { hasText: "No payments yet" }).waitFor();
    const payment = await office.shop.createPayment();
    await badgeOf(page, payment, "pending");
  }));

  test("looks right in every view, size and colour", () => office.withPage("overview", async (page) => {
    const { payment, transfer, endpoint } = await furnish();
    await live(page);
    for (const [name, view, there] of [
      ["1-overview", "overview", ".feed li"], ["2-payments", "payments", "tbody tr"],
      ["3-payment", `payments/${payment.id}`, ".deliveries li"], ["4-transfers", "transfers", "tbody tr"],
      ["5-transfer", `transfers/${encodeURIComponent(transfer.id)}`, "tbody tr"], ["6-deliveries", "deliveries", ".deliveries li"],
      ["7-endpoints", "endpoints", "tbody tr"], ["8-endpoint", `endpoints/${endpoint.id}`, ".deliveries li"],
      ["9-callbacks", "endpoints/callbacks", ".deliveries li"], ["11-chains", "chains", "tbody tr"],
    ]) {
      await visit(page, view);
      await page.locator(there).first().waitFor();
      if (name === "1-overview") await page.locator("rect.bar").first().waitFor();
      if (name === "3-payment") {
        await page.locator(".deliveries li[data-state=delivered] summary").first().click();
        await page.locator(".attempts").waitFor();
      }
      await assertLooksRight(page, name);
    }
  }));

  test("draws the last day in charts that can be read as tables", () => office.withPage("overview", async (page) => {
    await furnish();
    const chart = page.locator("figure.chart", { hasText: "Payments per hour" });
    await chart.locator("rect.bar").first().waitFor();
    assert.match(await chart.locator("svg").getAttribute("aria-label"), /Payments per hour, from \d\d:\d\d to now\. [\d,]+ created, [\d,]+ completed/);
    await chart.locator("summary").click();
    await chart.locator("tbody tr").first().waitFor();
    const newest = await chart.locator("tbody tr").first().locator("td").allTextContents();
    const { payments } = await office.call("GET", "/stats");
    const all = Object.values(payments).reduce((sum, count) => sum + count, 0);
    const created = Number(newest[0].replaceAll(",", ""));
    assert.ok(created > 0 && created <= all, "the table has the numbers of the bars");
    await chart.locator("svg").hover();
    await page.waitForFunction(() => /^\d\d:\d\d · created/.test(document.querySelector(".reading").textContent));
    for (const title of ["From block to webhook", "Chain lag", "Requests to nodes"]) {
      const other = page.locator("figure.chart", { hasText: title });
      await other.locator("path.stroke").first().waitFor({ state: "attached" });
      await other.locator("summary").click();
      await other.locator("tbody tr").first().waitFor();
    }
    await assertFine(page, "charts as tables");
  }));

  test("tells on every view what is not well with the hub, and how far it is with catching up", async () => {
    const chain = await startSlowChain();
    try {
      await office.anew(chain.settings);
      await office.withPage("chains", (page) => seesTrouble(page, chain));
    } finally {
      await chain.stop();
    }
  });
});

/** While the nodes tell their head and none of the blocks below it, a catch-up stays where it is, however slow this machine is. */
async function seesTrouble(page, chain) {
  await live(page);
  await office.shop.createPayment();
  await page.locator(".badge[data-word=following]").waitFor();
  for (const path of ["/jsonrpc", "/wallet/gettransactioninfobyblocknum"]) await chain.fail({ kind: "500", for_ms: 3_600_000, path });
  await chain.mine(AHEAD_BLOCKS);
  await page.locator("#banner .notice", { hasText: "blocks behind the chain's head" }).waitFor();
  await page.locator(".notice", { hasText: "Catching up" }).locator("progress").waitFor();
  await page.locator(".badge[data-word=behind]").waitFor();
  await assertLooksRight(page, "13-catching-up");
  await chain.mend();
  await page.locator(".notice", { hasText: "Catching up" }).waitFor({ state: "detached" });
  await page.locator("#banner .notice", { hasText: "this machine's clock is behind" }).waitFor();
  for (const view of ["overview", "payments", "chains"]) {
    await visit(page, view);
    await page.locator("#banner .notice", { hasText: "tron: " }).waitFor();
    await assertFine(page, `${view} of a degraded hub`);
  }
  await assertLooksRight(page, "12-degraded");
}

/** A hub that has seen something: every status, leftovers, receivers that take webhooks and one that does not. */
async function furnish() {
  const { shop, receiver, call } = office;
  receiver.answer = ({ url }) => (url.endsWith("down") ? { status: 503, text: "closed for repairs" } : { status: 200, text: "" });
  const endpoint = await call("POST", "/v1/endpoints", { url: receiver.url, events: ["payment.completed", "transfer.*"], description: "the books" });
  await call("POST", "/v1/endpoints", { url: `${receiver.url}/down`, description: "the warehouse" });
  const callback_url = receiver.url;
  const payment = await shop.createPayment({ callback_url, order_id: "ORDER-20261124-0817", metadata: { basket: ["tea", "kettle"], customer: "c_81" } });
  await shop.pay(payment);
  await statusIs(payment, "completed");
  const confirming = await shop.createPayment({ callback_url, confirmations: 1000 });
  await shop.pay(confirming);
  await shop.cancel(await shop.createPayment({ callback_url }));
  await shop.createPayment();
  const wrong = await shop.createPayment({ callback_url });
  await shop.pay(wrong, "2.5");
  await shop.pay(wrong, "1234.567891");
  await until("both are left over", async () => (await call("GET", "/v1/transfers")).data.length >= 2);
  return { payment, endpoint, transfer: (await call("GET", "/v1/transfers")).data[0] };
}

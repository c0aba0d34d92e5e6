// A shop's page on another origin watches its payment in a real browser, while the hub and the line to it come and go.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { openShop } from "./shop.mjs";
import { startBrowser, until } from "./support.mjs";

let shop;
let browser;

before(async () => {
  browser = await startBrowser();
  shop = await openShop();
}, { timeout: 60_000 });

after(async () => {
  await browser?.close();
  await shop?.close();
});

/** A page of the shop that watches a new payment, once it is live. */
async function withCheckout(run, { prepare = async () => {}, token, fields, live = true } = {}) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  await page.addInitScript(keepCloseCodes);
  const payment = await shop.createPayment(fields);
  try {
    await prepare(page);
    await page.goto(`${shop.url}/watch#${payment.id}&${token ?? payment.token}`);
    if (live) await isLive(page);
    await run(page, payment);
  } catch (error) {
    const told = await page.evaluate(() => JSON.stringify([window.states, window.updates], null, 1)).catch(() => "");
    error.message += `\n--- the page was told:\n${told}\n--- the hub said:\n${shop.hub.said().slice(-3000)}`;
    throw error;
  } finally {
    await context.close();
  }
}

function keepCloseCodes() {
  window.closeCodes = [];
  window.WebSocket = class extends WebSocket {
    constructor(...told) {
      super(...told);
      this.addEventListener("close", ({ code }) => window.closeCodes.push(code));
    }
  };
}

/** The network seems to come back all the time, so that no wait is long. */
const impatient = (page) => page.addInitScript(() => setInterval(() => dispatchEvent(new Event("online")), 50));

const hasState = (page, state) => page.waitForFunction((wanted) => window.states?.at(-1)?.state === wanted, state);
const isLive = (page) => hasState(page, "live");

/** Does what cuts the page's line, and waits until the page has noticed. */
async function cutting(page, act) {
  const before = await page.evaluate(() => states.filter(({ state }) => state === "waiting").length);
  await act();
  await page.waitForFunction((told) => states.filter(({ state }) => state === "waiting").length > told, before);
}

const isShown = (page, status) => page.waitForFunction((wanted) => window.updates.at(-1)?.payment.status === wanted, status);
const snapshots = (page) => page.evaluate(() => updates.filter(({ kind }) => kind === "snapshot").length);
const isCompleted = (payment) => until("the hub has completed the payment", async () => (await shop.paymentNow(payment)).status === "completed");

/** What the page was told of, by event: each once, in order, and without a second snapshot. */
async function assertToldOnce(page, types) {
  const events = await page.evaluate(() => updates.filter(({ kind }) => kind === "event").map(({ event }) => event));
  assert.deepEqual(events.map(({ type }) => type), types);
  assert.ok(events.every(({ sequence }, i) => i === 0 || sequence > events[i - 1].sequence), "in order");
  assert.equal(await snapshots(page), 1, "everything came one by one");
}

/** What the module made of the events is what the hub would have shown; only the chain's time goes on without a word. */
async function assertSameAsHub(page, payment) {
  const timeless = ({ chain_time: told, ...rest }) => (assert.equal(typeof told, "number"), rest);
  const shown = await page.evaluate(() => updates.at(-1).payment);
  assert.deepEqual(timeless(shown), timeless(await shop.paymentNow(payment)));
}

const PAID = ["payment.detected", "payment.completed"];

describe("a checkout page", { timeout: 120_000 }, () => {
  afterEach(() => { shop.proxy.sockets = true; });

  test("pasted from the integration guide, tells its customer how it goes", async () => {
    const page = await browser.newPage();
    const problems = [];
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(String(error)));
    const payment = await shop.createPayment();
    await page.goto(`${shop.url}/example?${new URLSearchParams({ id: payment.id, token: payment.token })}`);
    await page.getByText(`Send exactly ${payment.amount_to_pay} USDT to ${payment.wallet_address}`).waitFor();
    await shop.pay(payment);
    await page.getByText(/Seen: \d+ of \d+ confirmations/).waitFor();
    await page.getByText("Paid, thank you!").waitFor();
    assert.deepEqual(problems, []);
    await page.close();
  });

  test("follows a payment to its end, each step once", () => withCheckout(async (page, payment) => {
    await assertSameAsHub(page, payment);
    await shop.pay(payment);
    await isShown(page, "completed");
    await assertToldOnce(page, PAID);
    await assertSameAsHub(page, payment);
    const steps = await page.evaluate(() => updates.filter(({ kind }) => kind === "progress").map(({ payment: p }) => p.confirmations));
    assert.ok(steps.length > 0 && steps.every((n, i) => i === 0 || n >= steps[i - 1]), `${steps}`);
  }));

  test("adds up parts", () => withCheckout(async (page, payment) => {
    await shop.pay(payment, "1");
    await shop.pay(payment, "1.5");
    await page.waitForFunction(() => updates.at(-1).payment.received_amount === "2.5");
    await shop.pay(payment, "2");
    await isShown(page, "completed");
    await assertSameAsHub(page, payment);
    assert.equal(await page.evaluate(() => updates.at(-1).payment.transfers.length), 3);
  }, { fields: { match: "accumulate", expected_amount_usdt: "4.5" } }));

  test("takes back what a fork takes back", () => withCheckout(async (page, payment) => {
    const { txid } = await shop.pay(payment);
    await isShown(page, "confirming");
    await shop.fork(6, [txid]);
    await isShown(page, "pending");
    await assertSameAsHub(page, payment);
    await shop.pay(payment);
    await isShown(page, "completed");
    await assertToldOnce(page, ["payment.detected", "payment.reverted", ...PAID]);
    await assertSameAsHub(page, payment);
  }));

  test("shows a wrong amount for what it is, and the end of waiting", () => withCheckout(async (page, payment) => {
    await shop.pay(payment, "0.25");
    await page.waitForFunction(() => updates.at(-1).event?.type === "payment.mismatched");
    await assertSameAsHub(page, payment);
    await shop.cancel(payment);
    await isShown(page, "cancelled");
    await assertToldOnce(page, ["payment.mismatched", "payment.cancelled"]);
    await assertSameAsHub(page, payment);
  }));

  test("hears of what happened while the hub was killed and the line was cut, once", () => withCheckout(async (page, payment) => {
    shop.proxy.to = null;
    await cutting(page, shop.hub.kill);
    await shop.pay(payment);
    await shop.startHub();
    const { to } = shop.proxy;
    shop.proxy.to = null;
    await isCompleted(payment);
    assert.equal(await page.evaluate(() => updates.at(-1).payment.status), "pending", "nothing reached the page meanwhile");
    shop.proxy.to = to;
    await isShown(page, "completed");
    await assertToldOnce(page, PAID);
    await assertSameAsHub(page, payment);
  }, { prepare: impatient }));

  test("comes back from a cut line by itself", () => withCheckout(async (page, payment) => {
    await shop.pay(payment);
    await isShown(page, "confirming");
    await cutting(page, shop.proxy.cut);
    await isLive(page);
    await isShown(page, "completed");
    await assertToldOnce(page, PAID);
  }));

  test("gives up a line that hangs without being closed", () => withCheckout(async (page, payment) => {
    shop.proxy.hang();
    await shop.pay(payment);
    await isCompleted(payment);
    assert.equal(await page.evaluate(() => states.at(-1).state), "live", "nobody told the browser");
    await page.clock.fastForward(36_000);
    await isShown(page, "completed");
    await assertToldOnce(page, PAID);
  }, { prepare: (page) => page.clock.install() }));

  test("is sent away when the hub stops, and comes back", () => withCheckout(async (page, payment) => {
    await shop.hub.stop();
    await page.waitForFunction(() => closeCodes.includes(4001));
    await shop.pay(payment);
    await shop.startHub();
    await isShown(page, "completed");
    await isLive(page);
    await assertToldOnce(page, PAID);
    assert.equal(await page.evaluate(() => states.at(-1).transport), "websocket");
  }));

  test("where sockets are blocked, takes the stream, and a socket again when one gets through", async () => {
    shop.proxy.sockets = false;
    await withCheckout(async (page, payment) => {
      const transport = () => page.evaluate(() => states.at(-1).transport);
      assert.equal(await transport(), "sse");
      assert.equal(shop.proxy.refused, 2);
      await shop.pay(payment);
      await isShown(page, "confirming");
      await cutting(page, shop.proxy.cut);
      await isLive(page);
      assert.deepEqual([await transport(), shop.proxy.refused], ["sse", 3], "a socket is tried once more");
      await isShown(page, "completed");
      await assertToldOnce(page, PAID);
      await assertSameAsHub(page, payment);
      shop.proxy.sockets = true;
      await page.clock.fastForward(31_000);
      await page.waitForFunction(() => states.at(-1).transport === "websocket");
      await assertToldOnce(page, PAID);
    }, { prepare: (page) => Promise.all([page.clock.install(), impatient(page)]) });
  });

  test("over a stream, survives the hub's end and hears the hub's no", async () => {
    shop.proxy.sockets = false;
    await withCheckout(async (page, payment) => {
      await cutting(page, shop.hub.stop);
      await shop.pay(payment);
      await shop.startHub();
      await isShown(page, "completed");
      await assertToldOnce(page, PAID);
    }, { prepare: impatient });
    const other = await shop.createPayment();
    for (const [token, code] of [[other.token, "forbidden"], [`${other.token}x`, "unauthorized"]]) {
      await withCheckout(async (page) => {
        await hasState(page, "ended");
        assert.equal(await page.evaluate(() => states.at(-1).code), code);
      }, { token, live: false, prepare: impatient });
    }
  });

  test("needs no token where the hub asks for none, whichever way it goes", async () => {
    for (const transport of ["websocket", "sse"]) {
      shop.proxy.sockets = transport === "websocket";
      await withCheckout(async (page, payment) => {
        assert.equal(await page.evaluate(() => states.at(-1).transport), transport);
        await shop.cancel(payment);
        await isShown(page, "cancelled");
        await assertToldOnce(page, ["payment.cancelled"]);
      }, { token: "", prepare: impatient });
    }
  });

  test("with another payment's token, or a broken one, is told so and stays away", async () => {
    const other = await shop.createPayment();
    for (const [token, code] of [[other.token, "forbidden"], [`${other.token}x`, "unauthorized"]]) {
      await withCheckout(async (page) => {
        await hasState(page, "ended");
        const last = await page.evaluate(() => states.at(-1));
        assert.equal(last.code, code);
        assert.match(last.reason, /token/);
        await page.evaluate(() => dispatchEvent(new Event("online")));
        assert.deepEqual(await page.evaluate(() => states.map(({ state }) => state)), ["connecting", "ended"]);
      }, { token, live: false });
    }
  });
});

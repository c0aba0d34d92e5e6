// The hosted checkout in a real browser, before a real hub on a sandbox chain: the whole way to paid, and all that can go wrong.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { asPayer, assertFine, copied, shoot, stateIs } from "./payer.mjs";
import { openShop } from "./shop.mjs";
import { startBrowser, until } from "./support.mjs";

const place = { browser: null, shop: null };
let shop;

before(async () => {
  place.browser = await startBrowser();
  place.shop = shop = await openShop();
}, { timeout: 60_000 });

after(async () => {
  await place.browser?.close();
  await shop?.close();
});

const withPay = (run, more) => asPayer(place, run, more);
const text = (page, selector) => page.locator(selector).textContent();
const steps = (page) => page.locator("#steps > li").evaluateAll((rows) => rows.map(({ dataset }) => dataset.state));
const note = (page, kind) => page.locator(`#notes [data-kind="${kind}"]`);

/** In the page: the network seems to come back all the time, so that no wait is long. */
const networkComesBack = () => void setInterval(() => dispatchEvent(new Event("online")), 100);
const impatient = (page) => page.addInitScript(networkComesBack);

/** What an event stream tells until it has told of the completion. */
async function streamed(address, headers) {
  const stop = new AbortController();
  const answer = await fetch(address, { headers, signal: stop.signal });
  let told = "";
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    told += chunk;
    if (told.includes("event: payment.completed")) break;
  }
  stop.abort();
  return told;
}

describe("the checkout", { timeout: 240_000 }, () => {
  afterEach(() => { shop.proxy.sockets = true; });

  test("leads a payer to paid, and back to the shop", () => withPay(async (page, payment) => {
    const link = new URL(payment.checkout_url);
    assert.deepEqual([link.pathname, link.hash], [`/pay/${payment.id}`, `#${payment.token}`], "it is what the creation answers");
    await stateIs(page, "waiting");
    assert.equal(await text(page, "#due"), "999999.123456");
    assert.equal(await text(page, "#address"), payment.wallet_address);
    assert.match(await text(page, "#warning"), /only USDT.*only on the TRON network/);
    assert.match(await text(page, "#order"), /^Order order-/);
    await page.waitForFunction(() => document.querySelector("#qr").naturalWidth > 0);
    assert.equal(await page.getAttribute("#qr", "alt"), `QR code of the address ${payment.wallet_address}`);
    assert.deepEqual(await steps(page), ["current", "todo", "todo", "todo"]);
    assert.ok(await page.locator("#return").isHidden(), "nobody returns before it is paid");
    assert.ok(await page.evaluate(() => window.shifts) < 0.05, `nothing jumps while it loads: ${await page.evaluate(() => window.shifts)}`);
    assert.equal(await page.title(), "Pay 999999.123456 USDT");
    await shoot(page, "1-waiting");

    await shop.holdingStill(async () => {
      await shop.pay(payment);
      await shop.mine(5);
      await stateIs(page, "confirming");
      await page.waitForFunction(() => document.querySelector("#confirmations").textContent === "5 of 19 confirmations");
      assert.ok(await page.locator("#pay").isHidden(), "nobody is asked to pay twice");
      assert.deepEqual(await steps(page), ["done", "done", "current", "todo"]);
      assert.match(await page.title(), /^Confirming/);
      await shoot(page, "2-confirming");
    });
    await stateIs(page, "paid");
    assert.deepEqual(await steps(page), ["done", "done", "done", "done"]);
    assert.match(await text(page, "#explain"), /^999999\.123456 USDT has arrived/);
    assert.equal(await page.title(), "Paid: 999999.123456 USDT");
    const back = page.locator("#return");
    assert.equal(await back.textContent(), "Return to shop.example");
    assert.equal(await back.getAttribute("href"), "https://shop.example/thanks?order=7");
    assert.deepEqual((await back.getAttribute("rel")).split(" ").sort(), ["noopener", "noreferrer"]);
    await shoot(page, "3-paid");
    assert.match(page.url(), /\/pay\//, "nobody is sent away");

    await page.reload();
    await stateIs(page, "paid");
    assert.ok(page.url().endsWith(`#${payment.token}`), "the token survives a reload");
  }, { fields: { expected_amount_usdt: "999999.123456", success_url: "https://shop.example/thanks?order=7" } }));

  test("gives exact text to wallets", () => withPay(async (page, payment) => {
    assert.equal(await copied(page, "#copy-due"), "0.010203");
    assert.equal(await copied(page, "#copy-address"), payment.wallet_address);
    await page.waitForFunction(() => document.querySelector("#announce").textContent.startsWith("Copied: T"));
  }, { fields: { expected_amount_usdt: "0.010203" } }));

  test("adds up parts, and tells what is missing to the last digit", () => withPay(async (page, payment) => {
    assert.match(await text(page, "#explain"), /one transfer or in several/);
    await shop.pay(payment, "1.000001");
    await stateIs(page, "partial");
    assert.equal(await text(page, "#due"), "3.099999");
    assert.equal(await text(page, "#due-name"), "Amount still to send");
    assert.equal(await copied(page, "#copy-due"), "3.099999");
    assert.match(await text(page, "#explain"), /^1\.000001 of 4\.1 USDT has arrived\. 3\.099999 USDT is missing/);
    await shoot(page, "4-partial");
    await page.reload();
    await stateIs(page, "partial");
    assert.equal(await text(page, "#due"), "3.099999");
    await shop.pay(payment, "3.099999");
    await stateIs(page, "paid");
    assert.equal(await page.locator("#notes > li").count(), 0);
  }, { fields: { match: "accumulate", expected_amount_usdt: "4.1" } }));

  test("tells what was too much", () => withPay(async (page, payment) => {
    await shop.pay(payment, "2.5");
    await stateIs(page, "paid");
    await note(page, "overpaid").waitFor();
    assert.match(await text(page, "#notes"), /0\.3 USDT more than asked/);
    await shop.pay(payment, "1.25");
    await note(page, "extra").waitFor();
    await page.reload();
    await note(page, "overpaid").waitFor();
    assert.match(await note(page, "extra").textContent(), /1\.25 USDT arrived in addition/);
    await shoot(page, "5-overpaid");
  }, { fields: { match: "accumulate", expected_amount_usdt: "2.2" } }));

  test("warns before another try when a wrong amount came, and shows the right one all the same", () => withPay(async (page, payment) => {
    const { txid } = await shop.pay(payment, "5");
    await stateIs(page, "stray");
    assert.match(await note(page, "mismatched").textContent(), /^5\.0 USDT arrived that does not fit/);
    assert.ok(await page.locator("#pay").isHidden(), "nobody sends again without a thought");
    assert.equal(await copied(page, "#notes .copy-it"), txid);
    await shoot(page, "6-mismatched");
    await page.reload();
    await stateIs(page, "stray");
    await page.click("#again");
    assert.equal(await page.evaluate(() => document.activeElement.id), "copy-due", "focus goes on to what appears");
    assert.equal(await text(page, "#due"), "5.1");
    await assertFine(page, "mismatched, shown again");
    await shop.pay(payment);
    await stateIs(page, "paid");
    assert.equal(await page.evaluate(() => document.activeElement.id), "headline", "focus does not fall out of the page");
    assert.ok(await note(page, "mismatched").isVisible(), "the other money is still told of");
  }, { fields: { expected_amount_usdt: "5.1" } }));

  // Found by a review: a payer who had sent a wrong amount was told to pay, as long as one request for the past had failed.
  test("asks for nothing while it cannot know what has been sent", () => withPay(async (page, payment, watch) => {
    watch.expected.push(/status of 503.*\/events\?/);
    await shop.pay(payment, "5");
    await stateIs(page, "stray");
    let refused = 0;
    await page.route("**/events?**", (route) => (refused++ ? route.continue() : route.fulfill({ status: 503, body: "" })));
    await page.addInitScript(() => {
      window.offered = false;
      new MutationObserver(() => {
        const pay = document.querySelector("#pay");
        if (document.body?.dataset.view === "payment" && pay && !pay.hidden) window.offered = true;
      }).observe(document, { subtree: true, childList: true, attributes: true });
    });
    await page.reload();
    await page.locator("#trouble h1").waitFor();
    assert.match(await page.locator("#trouble-text").textContent(), /^Send nothing yet/);
    await stateIs(page, "stray");
    assert.ok(refused > 1);
    assert.equal(await page.evaluate(() => window.offered), false, "at no moment was anything asked for");
  }));

  test("tells when the shop accepts what did not fit", () => withPay(async (page, payment) => {
    await shop.pay(payment, "6");
    await stateIs(page, "stray");
    await shop.assignUnmatched(payment);
    await stateIs(page, "paid");
    assert.match(await note(page, "assigned").textContent(), /The shop has accepted 6\.0 USDT/);
    assert.equal(await note(page, "mismatched").count(), 0);
    await page.reload();
    await note(page, "assigned").waitFor();
    await assertFine(page, "assigned");
  }, { fields: { expected_amount_usdt: "6.2" } }));

  test("takes back what a fork takes back, and needs no second payment when the transfer returns", () => withPay(async (page, payment) => {
    await shop.holdingStill(async () => {
      const { txid } = await shop.pay(payment);
      await shop.mine(2);
      await stateIs(page, "confirming");
      await shop.fork(2, [txid]);
      await shop.mine(1);
      await stateIs(page, "reverted");
      assert.match(await text(page, "#explain"), /You need not pay again, unless/);
      assert.ok(await page.locator("#pay").isHidden());
      await shoot(page, "7-reverted");
      await page.reload();
      await stateIs(page, "reverted");
    });
    await page.click("#again");
    await shop.pay(payment);
    await stateIs(page, "paid");
    assert.equal(await page.locator("#notes > li").count(), 0);
  }));

  test("does not alarm anyone when a fork brings the transfer right back", () => withPay(async (page, payment) => {
    await shop.holdingStill(async () => {
      await shop.pay(payment);
      await shop.mine(2);
      await stateIs(page, "confirming");
      await shop.fork(2, []);
      await shop.mine(1);
      await until("the fork is over", async () => (await shop.eventsOf(payment)).filter(({ type }) => type === "payment.detected").length === 2);
      await stateIs(page, "confirming");
    });
    await stateIs(page, "paid");
    assert.equal(await page.locator("#notes > li").count(), 0);
  }));

  test("shows a cancellation, and money that comes after it", () => withPay(async (page, payment) => {
    await page.focus("#copy-due");
    await shop.cancel(payment);
    await stateIs(page, "cancelled");
    assert.ok(await page.locator("#pay").isHidden());
    assert.equal(await page.evaluate(() => document.activeElement.id), "headline");
    assert.equal(await page.title(), "Payment cancelled");
    await shoot(page, "8-cancelled");
    await shop.pay(payment);
    await note(page, "after_cancel").waitFor();
    await page.reload();
    await note(page, "after_cancel").waitFor();
    await assertFine(page, "paid after the cancellation");
  }));

  test("comes back after its hub", () => withPay(async (page, payment) => {
    await page.locator("#live[data-state=live]").waitFor();
    await shop.hub.stop();
    await page.waitForFunction(() => /^Connection lost, trying again in \d+ seconds?$/.test(document.querySelector("#live-text").textContent));
    await assertFine(page, "lost");
    await shop.pay(payment);
    await shop.startHub();
    await page.evaluate(networkComesBack);
    await stateIs(page, "paid");
    assert.match(await text(page, "#live-text"), /^Live/);
  }, { cut: true }));

  test("works where no socket gets through", () => {
    shop.proxy.sockets = false;
    return withPay(async (page, payment) => {
      await page.getByText("Live, over HTTP").waitFor();
      await shop.pay(payment);
      await stateIs(page, "paid");
    }, { prepare: impatient, cut: true });
  });

  test("is told everything but the shop's own notes, whichever way it asks", () => withPay(async (page, payment, watch) => {
    assert.deepEqual((await shop.eventsOf(payment))[0].metadata, { note: "INTERNAL" }, "the merchant is told");
    const headers = { authorization: `Bearer ${payment.token}` };
    const address = `${shop.hub.url}/v1/payments/${payment.id}`;
    const stream = streamed(`${address}/events/stream`, headers);
    await shop.pay(payment);
    await stateIs(page, "confirming");
    shop.proxy.cut();
    await page.evaluate(networkComesBack);
    await stateIs(page, "paid");
    const said = { socket: JSON.stringify(watch.frames), stream: await stream };
    assert.ok(watch.frames.some(({ subscribe }) => subscribe?.snapshot) && watch.frames.some(({ subscribe }) => subscribe?.recovered), "a snapshot, and a replay");
    const { epoch } = watch.frames.find(({ subscribe }) => subscribe).subscribe;
    said.streamReplay = await streamed(`${address}/events/stream`, { ...headers, "last-event-id": `${epoch}:0` });
    for (const path of ["", "/events"]) said[path || "payment"] = await (await fetch(address + path, { headers })).text();
    said.classic = await (await fetch(`${shop.hub.url}/payment_status/${payment.id}`, { headers })).text();
    for (const [way, told] of Object.entries(said)) {
      assert.ok(told.includes(payment.id), `${way} tells of the payment`);
      assert.doesNotMatch(told, /INTERNAL|metadata/, way);
    }
  }, { fields: { metadata: { note: "INTERNAL" } }, cut: true }));

  test("needs no token where the hub asks for none", () => withPay(async (page, payment) => {
    assert.ok(!page.url().includes("#"));
    await shop.pay(payment);
    await stateIs(page, "paid");
  }, { token: "" }));

  for (const [what, link, title] of [
    ["a damaged token", { token: "nonsense" }, "This link is not valid"],
    ["an id that is none", { id: "nonsense", token: "" }, "There is no such payment"],
    ["an unknown payment", { id: "01937b5c-7c2e-7000-8000-00000000dead", token: "" }, "There is no such payment"],
    ["no id at all", { id: "", token: "" }, "There is no such payment"],
  ]) {
    test(`says what is wrong with the link: ${what}`, () => withPay(async (page) => {
      await page.locator("#trouble h1", { hasText: title }).waitFor();
      assert.ok(await page.locator("#sheet").isHidden());
      assert.ok((await text(page, "#trouble-text")).length > 30, "and what to do");
      assert.equal(await page.title(), "Payment not shown");
      await assertFine(page, what);
      if (what === "a damaged token") await shoot(page, "9-bad-link");
    }, { ...link, ready: false }));
  }

  test("says what is wrong with the link: another payment's token", async () => {
    const { token } = await shop.createPayment();
    await withPay(async (page, payment) => {
      await page.locator("#trouble h1", { hasText: "This link belongs to another payment" }).waitFor();
      await page.evaluate((right) => { location.hash = right; }, payment.token);
      await stateIs(page, "waiting");
    }, { token, ready: false });
  });

  test("says that the link is cut off where a hub wants a token, and that the hub is away where it is", async () => {
    await withPay(async (page) => {
      await page.locator("#trouble h1", { hasText: "This link is not complete" }).waitFor();
    }, { token: "", ready: false, prepare: (page) => page.routeWebSocket(/\/ws$/, (socket) => socket.close({ code: 4500, reason: "bad token" })) });
    const line = { cut: true };
    await withPay(async (page) => {
      await page.locator("#trouble h1", { hasText: "cannot be reached" }).waitFor();
      await assertFine(page, "unreachable");
      line.cut = false;
      await page.evaluate(() => dispatchEvent(new Event("online")));
      await stateIs(page, "waiting");
    }, { ready: false, prepare: (page) => page.routeWebSocket(/\/ws$/, (socket) => (line.cut ? socket.close({ code: 4001, reason: "test" }) : socket.connectToServer())) });
  });

  test("can be used with the keyboard alone", () => withPay(async (page) => {
    const stops = [];
    for (let i = 0; i < 3; i++) {
      await page.keyboard.press("Tab");
      stops.push(await page.evaluate(() => document.activeElement.id));
    }
    assert.deepEqual(stops.slice(0, 2), ["copy-due", "copy-address"]);
    assert.equal(stops[2], "", "and nothing else takes the focus");
    await page.focus("#copy-address");
    await page.keyboard.press("Enter");
    await page.locator('#copy-address[data-done="true"]').waitFor();
  }));

  test("speaks to a screen reader when something happens, and not each second", () => withPay(async (page, payment) => {
    await page.evaluate(() => {
      window.spoken = [];
      new MutationObserver(() => window.spoken.push(document.querySelector("#announce").textContent))
        .observe(document.querySelector("#announce"), { childList: true, characterData: true, subtree: true });
    });
    const before = await text(page, "#left");
    await page.waitForFunction((old) => document.querySelector("#left").textContent !== old, before);
    await shop.pay(payment);
    await stateIs(page, "paid");
    const spoken = await page.evaluate(() => window.spoken);
    assert.equal(spoken.length, 2, `${spoken}`);
    assert.match(spoken[0], /^Your transfer is here\. /);
    assert.match(spoken[1], /^Paid\. /);
    assert.equal(await page.getAttribute("#left", "role"), "timer");
  }));

  test("shows data as text, whatever it contains and however long it is", () => {
    const order = `<img src=x onerror="document.title='owned'">${"0123456789".repeat(5)}`;
    return withPay(async (page) => {
      assert.equal(await text(page, '[data-fact="fact_order"] dd'), order);
      assert.equal(await page.locator("#sheet img").count(), 1, "the QR code's only");
      assert.notEqual(await page.title(), "owned");
      await shoot(page, "10-long");
    }, { fields: { order_id: order, expected_amount_usdt: "1000000" } });
  });

  test("leads back to web pages only", () => withPay(async (page, payment) => {
    await shop.pay(payment);
    await stateIs(page, "paid");
    assert.ok(await page.locator("#return").isHidden());
    assert.equal(await page.getAttribute("#return", "href"), null);
  }, {
    fields: { success_url: "https://shop.example/" },
    prepare: (page) => page.routeWebSocket(/\/ws$/, (socket) => {
      const hub = socket.connectToServer();
      hub.onMessage((frame) => socket.send(frame.replace("https://shop.example/", "javascript:alert(1)")));
    }),
  }));

  test("without JavaScript says that it needs it", async () => {
    const context = await place.browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(`${shop.proxy.url}/pay/x`);
    assert.match(await page.locator("noscript p").textContent(), /needs JavaScript/);
    await context.close();
  });
});

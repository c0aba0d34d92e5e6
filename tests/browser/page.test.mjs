// The test page of a real hub in a real browser: everything a person does with it, and everything it must never do.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LOOKS, accessibility, screenshot, startBrowser, startDemo, until, watchPage, wear } from "./support.mjs";

const PAYMENT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
let demo;
let browser;

before(async () => {
  demo = await startDemo();
  browser = await startBrowser();
}, { timeout: 60_000 });

after(async () => {
  await browser?.close();
  await demo?.stop();
});

/** A page of its own for one test; afterwards nothing that a page must not do may have happened. */
async function withPage(run, prepare = async () => {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: LOOKS[2].viewport, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const watch = watchPage(page, demo.url);
  try {
    await prepare(page);
    const answer = await page.goto(demo.url);
    await run(page, watch, answer);
    assert.deepEqual(watch.problems, [], "console errors, page errors and requests to other origins");
  } catch (error) {
    await screenshot(page, "failure").catch(() => {});
    error.message += `\n--- the hub said:\n${demo.said().slice(-3000)}`;
    throw error;
  } finally {
    await context.close();
  }
}

const demoReady = (page) => page.waitForFunction(() => document.querySelector("#wallet_address").value !== "" && document.querySelector("#pay"), null);

let created = 0;
/** An amount that no other test uses: they share one address, where equal amounts are refused. */
const ownAmount = () => `7.${String(++created).padStart(2, "0")}`;

/** Creates a payment (`amount` null: of what the form offers). Answers its id once its channel is live. */
async function createPayment(page, amount = ownAmount()) {
  if (amount) await page.fill("#expected_amount_usdt", amount);
  const before = new URL(page.url()).hash;
  await page.locator("#expected_amount_usdt").press("Enter");
  await page.waitForFunction((old) => location.hash !== old, before);
  await page.locator("#payment").waitFor();
  await page.locator("#live[data-state=live]").waitFor();
  const id = new URL(page.url()).hash.slice(1);
  assert.match(id, PAYMENT_ID);
  return id;
}

const shownEvents = (page) => page.locator("#events > li").evaluateAll((rows) =>
  rows.map(({ dataset }) => ({ seq: Number(dataset.seq), type: dataset.type, source: dataset.source })));

const getJson = async (path) => (await fetch(demo.url + path)).json();

describe("the test page", { timeout: 240_000 }, () => {
  test("is served under a strict policy, whole, and looks right in every size and colour", () => withPage(async (page, watch, answer) => {
    const policy = answer.headers()["content-security-policy"] ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    await demoReady(page);
    await page.locator("#health[data-state=healthy]").waitFor();
    await page.locator("#numbers .chain").waitFor();
    for (const look of LOOKS) {
      await wear(page, look);
      await assertFine(page, look.name);
      await screenshot(page, `${look.name}-1-before`);
    }
  }));

  test("shows what is wrong beside the field it is wrong in", () => withPage(async (page, watch) => {
    await demoReady(page);
    watch.expected.push(/status of 400.*\/v1\/payments$/);
    await page.fill("#wallet_address", "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE8");
    await page.fill("#expected_amount_usdt", "5.0000001");
    await page.click("#create-button");
    for (const name of ["wallet_address", "expected_amount_usdt"]) {
      const input = page.locator(`#${name}`);
      await page.locator(`#${name}[aria-invalid=true]`).waitFor();
      const note = page.locator(`#${await input.getAttribute("aria-describedby")}`);
      assert.ok((await note.textContent()).length > 5, `${name} says what is wrong`);
    }
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-invalid")), "true", "focus goes to a broken field");
    await assertFine(page, "with errors");
    assert.ok(await page.locator("#payment").isHidden());
    assert.deepEqual(watch.expected, [], "the hub refused it with 400");

    await page.fill("#wallet_address", "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7");
    await createPayment(page, "5.000001");
    assert.equal(await page.locator("[aria-invalid]").count(), 0, "the errors are gone");
    assert.equal(await page.locator("#amount").textContent(), "5.000001", "amounts are exact");
  }));

  test("watches a payment from creation to completion, live", () => withPage(async (page, watch) => {
    await demoReady(page);
    const amount = await page.inputValue("#expected_amount_usdt");
    assert.match(amount, /^5\.\d\d$/);
    const id = await createPayment(page, null);
    // The page proposes a random amount, and one in ten ends with a zero that the hub leaves out.
    assert.equal(Number(await page.locator("#amount").textContent()), Number(amount));
    assert.equal(await page.evaluate(() => document.activeElement.id), "payment-title", "focus follows to the payment");
    await page.waitForFunction(() => document.querySelector("#qr").naturalWidth > 0);
    assert.match(await page.getAttribute("#qr", "alt"), /TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7/);
    assert.match(await page.locator("#steps [aria-current=step]").textContent(), /Waiting/);

    await page.click("#pay");
    await page.locator("#payment[data-status=confirming]").waitFor();
    await page.waitForFunction(() => /^\d+ of \d+ confirmations$/.test(document.querySelector("#confirmations-text").textContent));
    await page.locator("#payment[data-status=completed]").waitFor();
    await page.locator("#events [data-type='payment.completed'][data-source=socket]").waitFor();
    assertCameBySocket(watch, id);
    assert.equal(await page.locator("#steps [data-state=done]").count(), 4);
    assert.match(await page.locator("#say").textContent(), /^Completed/);
    assert.match(await page.title(), /^Paid/);

    await page.locator(`#deliveries [data-payment="${id}"][data-state=delivered]`, { hasText: "payment.completed" }).waitFor();
    await page.locator(`#received [data-payment="${id}"]`, { hasText: "payment.completed" }).waitFor();
    await assertJsonOpens(page, id);
    const row = page.locator("#transfers .transfer");
    assert.equal(await row.count(), 1);
    assert.match(await row.locator("code").getAttribute("title"), /^(0x)?[0-9a-f]{64}$/, "the whole transaction hash is at hand");

    for (const look of LOOKS) {
      await wear(page, look);
      await assertFine(page, look.name);
      await screenshot(page, `${look.name}-2-after`);
    }
    await assertSurvivesReload(page, id);
  }));

  test("leads to the checkout that a payer would see, with its token", () => withPage(async (page) => {
    await demoReady(page);
    const id = await createPayment(page);
    const link = page.getByRole("link", { name: "Open the checkout page" });
    await link.waitFor();
    const [checkout] = await Promise.all([page.context().waitForEvent("page"), link.click()]);
    await checkout.locator(`#sheet[data-id="${id}"][data-state="waiting"]`).waitFor();
    assert.match(new URL(checkout.url()).hash, /^#ey[\w-]+\.[\w-]+\.[\w-]+$/);
    await page.click("#pay");
    await checkout.locator('#sheet[data-state="paid"]').waitFor();
  }));

  test("takes up again after a lost connection, every event once and in order", () => {
    const line = { cut: false, open: null, sent: [] };
    return withPage(async (page) => {
      await demoReady(page);
      const id = await createPayment(page);
      line.cut = true;
      await line.open.close({ code: 4001, reason: "test" });
      await page.locator("#live[data-state=waiting]").waitFor();
      await page.click("#pay");
      await until("the hub has completed the payment", async () => (await getJson(`/v1/payments/${id}`)).status === "completed");
      assert.equal(await page.locator("#payment").getAttribute("data-status"), "pending", "nothing reached the page meanwhile");
      line.cut = false;
      await page.evaluate(() => dispatchEvent(new Event("online")));
      await page.locator("#payment[data-status=completed]").waitFor();
      await page.locator("#live[data-state=live]").waitFor();
      const since = line.sent.map((frame) => frame.subscribe?.since).filter(Boolean);
      assert.ok(since.length >= 1, "it subscribed again with where it left off");
      assert.ok(since.every(({ epoch, seq }) => typeof epoch === "string" && Number.isInteger(seq)));
      const events = await shownEvents(page);
      assert.deepEqual(events.map(({ type }) => type), ["payment.completed", "payment.detected", "payment.created"]);
      assert.deepEqual(events.slice(0, 2).map(({ source }) => source), ["socket", "socket"]);
      assert.ok(events.every(({ seq }, i) => i === 0 || seq < events[i - 1].seq));
    }, (page) => page.routeWebSocket(/\/ws$/, (socket) => {
      if (line.cut) return void socket.close({ code: 4001, reason: "test" });
      line.open = socket;
      const hub = socket.connectToServer();
      socket.onMessage((text) => {
        line.sent.push(JSON.parse(text));
        hub.send(text);
      });
    }));
  });

  test("does not come back when the hub says so", () => {
    let connections = 0;
    return withPage(async (page) => {
      await demoReady(page);
      await page.fill("#expected_amount_usdt", ownAmount());
      await page.locator("#expected_amount_usdt").press("Enter");
      await page.locator("#live[data-state=ended]").waitFor();
      assert.match(await page.locator("#live-text").textContent(), /bad token/);
      assert.equal(connections, 1);
    }, (page) => page.routeWebSocket(/\/ws$/, (socket) => {
      connections += 1;
      socket.close({ code: 4500, reason: "bad token" });
    }));
  });

  test("cancels a payment and shows it", () => withPage(async (page) => {
    await demoReady(page);
    await createPayment(page);
    await page.click("#cancel");
    await page.locator("#events [data-type='payment.cancelled'][data-source=socket]").waitFor();
    await page.locator("#steps [data-state=stopped]").waitFor();
    assert.ok(await page.locator("#cancel").isHidden());
    await assertFine(page, "cancelled");
  }));

  test("shows data as text, whatever it contains", () => withPage(async (page) => {
    await demoReady(page);
    const order = `<img src=x onerror="document.title='owned'">`;
    await page.fill("#order_id", `${order}${Date.now()}`);
    await createPayment(page);
    assert.ok((await page.locator("#payment-title").textContent()).includes(order));
    assert.equal(await page.locator("#payment-title *").count(), 0);
    await page.locator("#events > li summary").first().click();
    assert.ok((await page.locator("#events pre").first().textContent()).includes("onerror"));
    assert.equal(await page.locator("#payment img:not(#qr)").count(), 0);
  }));

  test("offers no sandbox outside of the demo", () => {
    const asked = [];
    return withPage(async (page) => {
      page.on("request", (request) => asked.push(new URL(request.url()).pathname));
      await page.locator("#health[data-state=healthy]").waitFor();
      await page.fill("#wallet_address", "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7");
      await createPayment(page);
      assert.equal(await page.locator("#pay, #sandbox-form").count(), 0);
      assert.ok(await page.locator("#received-part").isHidden());
      assert.ok(await page.locator("#checkout").isHidden());
      assert.ok(!asked.some((path) => path.startsWith("/sandbox")), "nothing under /sandbox was asked for");
    }, (page) => page.route("**/stats", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), demo: false } });
    }));
  });
});

async function assertFine(page, name) {
  const { found, passes } = await accessibility(page);
  assert.deepEqual(found, [], `axe-core: ${name}`);
  assert.ok(passes > 15, "axe-core really looked");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} does not scroll sideways`);
}

/** The page may also ask over HTTP; what it shows as live must have come as a frame. */
function assertCameBySocket({ frames, sent }, id) {
  const pushes = frames.map(({ push }) => push).filter((push) => push?.channel === `payment:${id}`);
  const events = pushes.filter(({ event }) => event);
  assert.deepEqual(events.map(({ event }) => event.type), ["payment.detected", "payment.completed"]);
  assert.equal(events[1].event.payment_id, id);
  assert.ok(events[1].seq > events[0].seq);
  assert.ok(events.every(({ seq, event }) => seq === event.sequence));
  const steps = pushes.filter(({ progress }) => progress).map(({ progress }) => progress.confirmations);
  assert.ok(steps.length > 0, "confirmations came as progress");
  assert.deepEqual(steps, [...steps].sort((a, b) => a - b));
  assert.ok(sent.some(({ subscribe }) => subscribe?.channel === `payment:${id}`));
}

async function assertJsonOpens(page, id) {
  const row = page.locator("#events [data-type='payment.completed']");
  assert.ok(await row.locator("pre").isHidden());
  await row.locator("summary").focus();
  await page.keyboard.press("Enter");
  await row.locator("pre").waitFor();
  assert.equal(JSON.parse(await row.locator("pre").textContent()).payment_id, id);
}

async function assertSurvivesReload(page, id) {
  assert.equal(page.url(), `${demo.url}/#${id}`, "the address holds the id and no token");
  await page.reload();
  await page.locator(`#payment[data-id="${id}"][data-status=completed]`).waitFor();
  await page.locator("#live[data-state=live]").waitFor();
  await page.locator("#events > li").nth(2).waitFor();
  assert.deepEqual((await shownEvents(page)).map(({ type, source }) => `${type} ${source}`),
    ["payment.completed history", "payment.detected history", "payment.created history"]);
  await page.waitForFunction(() => document.querySelector("#qr").naturalWidth > 0);
}

// The checkout's deadline, in a real browser: the chain's time decides it, whatever the device's clock says.
// Each test has a chain of its own, because it lets that chain run ahead.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { asPayer, assertFine, shoot, stateIs } from "./payer.mjs";
import { openShop } from "./shop.mjs";
import { startBrowser, until } from "./support.mjs";

const HOUR_MS = 3_600_000;
const BEYOND_A_MINUTE_BLOCKS = 900; // of 100 ms
let browser;

before(async () => { browser = await startBrowser(); }, { timeout: 60_000 });
after(() => browser?.close());

const text = (page, selector) => page.locator(selector).textContent();
const note = (page, kind) => page.locator(`#notes [data-kind="${kind}"]`);
const seconds = async (page) => {
  const [, minutes, rest] = /^(\d+):(\d\d) left$/.exec(await text(page, "#left"));
  return Number(minutes) * 60 + Number(rest);
};

/** A payment that has a minute, on a device whose clock is so far off. The page's clocks can be moved on. */
async function withAMinute(run, { offMs = 0, ...fields } = {}) {
  const shop = await openShop();
  await shop.stayAwake();
  try {
    const prepare = (page) => page.clock.install({ time: Date.now() + offMs });
    await asPayer({ browser, shop }, (page, payment) => run(page, payment, shop), { prepare, fields: { expires_in: 60, ...fields } });
  } finally {
    await shop.close();
  }
}

describe("the checkout's time", { timeout: 240_000 }, () => {
  for (const [what, offMs] of [["an hour slow", -HOUR_MS], ["an hour fast", HOUR_MS]]) {
    test(`runs by the chain on a device that is ${what}: down to zero, expired, late`, () => withAMinute(async (page, payment, shop) => {
      const left = await seconds(page);
      assert.ok(left > 30 && left <= 75, `${left} s left at the start`);
      await page.waitForFunction((shown) => document.querySelector("#left").textContent !== shown, await text(page, "#left"));
      assert.ok(await seconds(page) < left);
      assert.equal(await text(page, "#until"), `until ${new Date(payment.expires_at * 1000).toISOString().slice(11, 16)}`);

      await page.clock.fastForward(76_000);
      await stateIs(page, "time_up");
      assert.match(await text(page, "#explain"), /^The last blocks are still being read: a transfer sent in time still counts/);
      assert.ok(await page.locator("#pay").isHidden());
      assert.equal(await page.title(), "Time is up");
      assert.equal((await shop.paymentNow(payment)).status, "pending", "to the chain there is time yet");
      await shoot(page, "11-time-up");

      await shop.mine(BEYOND_A_MINUTE_BLOCKS);
      await stateIs(page, "expired");
      assert.equal(await page.title(), "Not paid in time");
      await shop.pay(payment);
      await shop.mine(2);
      await note(page, "late").waitFor();
      await page.reload();
      await note(page, "late").waitFor();
      assert.match(await note(page, "late").textContent(), new RegExp(`^${payment.amount_to_pay} USDT arrived too late`));
      await shoot(page, "12-late");
    }, { offMs }));
  }

  // Found by a review: while the hub had blocks to catch up on, the page showed too much time.
  test("is not longer than the hub's own clock allows, though the chain stands still", () => withAMinute((page, payment, shop) => shop.holdingStill(async () => {
    await until("the chain is behind", async () => Date.now() / 1000 - (await shop.paymentNow(payment)).chain_time >= 8);
    await page.reload();
    await page.locator('body[data-view="payment"]').waitFor();
    await page.waitForFunction(() => /^\d+:\d\d left$/.test(document.querySelector("#left").textContent));
    const most = payment.expires_at - Date.now() / 1000 + 3;
    assert.ok(await seconds(page) <= most, `${await seconds(page)} s shown, at most ${most} s left`);
  })));

  test("does not end a payment that was sent in time", () => withAMinute(async (page, payment, shop) => {
    await page.clock.fastForward(76_000);
    await stateIs(page, "time_up");
    await shop.pay(payment);
    await stateIs(page, "paid");
  }));

  test("tells what is missing when it is up, and takes nothing more", () => withAMinute(async (page, payment, shop) => {
    await shop.pay(payment, "1.5");
    await stateIs(page, "partial");
    await shop.mine(BEYOND_A_MINUTE_BLOCKS);
    await stateIs(page, "underpaid");
    assert.match(await text(page, "#explain"), /^1\.5 of 4\.000001 USDT arrived in time; 2\.500001 USDT is missing/);
    assert.ok(await page.locator("#pay").isHidden());
    assert.deepEqual(await page.locator("#steps > li").evaluateAll((rows) => rows.map(({ dataset }) => dataset.state)), ["done", "done", "todo", "stopped"]);
    await shoot(page, "13-underpaid");
    await page.reload();
    await stateIs(page, "underpaid");
    await shop.pay(payment, "2.500001");
    await shop.mine(2);
    await note(page, "late").waitFor();
    await assertFine(page, "underpaid, and late");
  }, { match: "accumulate", expected_amount_usdt: "4.000001" }));

  test("is spoken of when little is left", () => withAMinute(async (page) => {
    await page.clock.fastForward(620_000);
    await page.waitForFunction(() => document.querySelector("#announce").textContent === "10 minutes left to pay");
    await page.clock.fastForward(300_000);
    await page.waitForFunction(() => document.querySelector("#announce").textContent === "5 minutes left to pay");
    await page.clock.fastForward(260_000);
    await page.waitForFunction(() => document.querySelector("#announce").textContent === "1 minute left to pay");
    await page.clock.fastForward(60_000);
    await page.waitForFunction(() => document.querySelector("#announce").textContent.startsWith("Time is up. "));
  }, { expires_in: 1200 }));
});

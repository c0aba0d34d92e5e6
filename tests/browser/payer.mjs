// A payer before the checkout of a real hub: opens its page in a real browser, and notes what the page must never do.

import assert from "node:assert/strict";
import { freshAddress } from "./shop.mjs";
import { LOOKS, accessibility, screenshot, watchPage, wear } from "./support.mjs";

const CUT_LINE = /^console error: (WebSocket connection to|Failed to load resource: net::ERR_)/;
const PHONE = { width: 390, height: 844 };

/**
 * Opens the checkout of a payment, runs the test, and closes it. `token`, `query`, `fields`: of another link or payment.
 * `prepare(page, context)` comes before the page is loaded; `ready`: whether to wait until the payment is shown.
 * `cut`: the test breaks the line to the hub, which the browser's console reports.
 */
export async function asPayer({ browser, shop }, run, { fields, payment, id, token, query = "", prepare = async () => {}, ready = true, cut = false, looks = {} } = {}) {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", viewport: PHONE, reducedMotion: "reduce", hasTouch: true, ...looks });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: shop.proxy.url });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const watch = watchPage(page, shop.proxy.url);
  await page.addInitScript(noteTrouble);
  const mine = payment ?? await shop.createPayment({ wallet_address: freshAddress(), ...fields });
  const secret = token ?? mine.token;
  const before = shop.proxy.heads.length;
  try {
    await prepare(page, context);
    await page.goto(`${shop.proxy.url}/pay/${id ?? mine.id}${query}${secret && `#${secret}`}`);
    if (ready) await page.locator('body[data-view="payment"]').waitFor();
    await run(page, mine, watch);
    assert.deepEqual(watch.problems.filter((problem) => !cut || !CUT_LINE.test(problem)), [], "console errors, page errors and requests to other origins");
    assert.deepEqual(await page.evaluate(() => window.violations), [], "breaches of the content security policy");
    assertTokenStaysInside(shop.proxy.heads.slice(before), secret);
  } catch (error) {
    await screenshot(page, "failure").catch(() => {});
    error.message += `\n--- the hub said:\n${shop.hub.said().slice(-3000)}`;
    throw error;
  } finally {
    await context.close();
  }
}

/** Runs in the page. */
function noteTrouble() {
  window.violations = [];
  window.shifts = 0;
  document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => window.violations.push(`${violatedDirective} ${blockedURI}`));
  new PerformanceObserver((list) => list.getEntries().forEach((shift) => { window.shifts += shift.value; })).observe({ type: "layout-shift", buffered: true });
}

/** As the hub saw the requests: the token may stand in an Authorization header and nowhere else. */
function assertTokenStaysInside(heads, token) {
  assert.ok(heads.length > 0, "requests went through the proxy");
  for (const head of heads) {
    const told = head.split("\r\n").filter((line) => !/^authorization:/i.test(line)).join("\n");
    assert.ok(!token || !told.includes(token), `the token is in: ${told}`);
    assert.doesNotMatch(told, /^referer:/im, "no page is told where the payer comes from");
  }
}

export const stateIs = (page, state) => page.locator(`#sheet[data-state="${state}"]`).waitFor();

export async function assertFine(page, name) {
  const { found, passes } = await accessibility(page);
  assert.deepEqual(found, [], `axe-core: ${name}`);
  assert.ok(passes > 12, `axe-core really looked at ${name}: ${passes}`);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} does not scroll sideways`);
}

/** Looks at it in every size and colour. */
export async function shoot(page, name) {
  await assertFine(page, name);
  for (const look of LOOKS) {
    await wear(page, look);
    await assertFine(page, `${name} ${look.name}`);
    await screenshot(page, `pay-${name}-${look.name}`);
  }
}

/** Presses a copy button and answers what is on the clipboard. */
export async function copied(page, selector) {
  await page.evaluate(() => navigator.clipboard.writeText("nothing"));
  await page.click(selector);
  await page.locator(`${selector}[data-done="true"]`).waitFor();
  return page.evaluate(() => navigator.clipboard.readText());
}

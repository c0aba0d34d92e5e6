// The reference page of a real hub in a real browser: it shows both documents whole, is found by filter and keyboard, and is
// readable in every size and colour.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LOOKS, accessibility, screenshot, startBrowser, startDemo, watchPage, wear } from "./support.mjs";

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
async function withPage(run, path = "/reference") {
  const context = await browser.newContext({ locale: "en-GB", viewport: LOOKS[2].viewport, reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const watch = watchPage(page, demo.url);
  try {
    const answer = await page.goto(demo.url + path);
    await page.locator("#reference:not([aria-busy])").waitFor();
    await run(page, answer);
    assert.deepEqual(watch.problems, [], "console errors, page errors and requests to other origins");
  } catch (error) {
    await screenshot(page, "reference-failure").catch(() => {});
    throw error;
  } finally {
    await context.close();
  }
}

const getJson = async (path) => (await fetch(demo.url + path)).json();
const ids = (page) => page.locator(".operation").evaluateAll((nodes) => nodes.map(({ id }) => id));
const shown = (page) => page.locator(".operation:visible").evaluateAll((nodes) => nodes.map(({ id }) => id));

async function assertFine(page, name) {
  const { found, passes } = await accessibility(page);
  assert.deepEqual(found, [], `axe-core: ${name}`);
  assert.ok(passes > 15, "axe-core really looked");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} does not scroll sideways`);
}

describe("the reference page", { timeout: 240_000 }, () => {
  test("shows every operation, webhook and message of the documents, under a strict policy", () => withPage(async (page, answer) => {
    assert.match(answer.headers()["content-security-policy"], /default-src 'none'/);
    const [openapi, asyncapi] = await Promise.all([getJson("/openapi.json"), getJson("/asyncapi.json")]);
    const operations = Object.values(openapi.paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId));
    const events = Object.keys(openapi.webhooks).map((type) => `event-${type.replace(".", "-")}`);
    const talk = Object.entries(asyncapi.operations).filter(([, { channel }]) => channel.$ref === "#/channels/socket").map(([name]) => `socket-${name}`);
    const found = new Set(await ids(page));
    for (const id of [...operations, ...events, ...talk]) assert.ok(found.has(id), `${id} is shown`);
    assert.equal(await page.locator("#version").textContent(), `Version ${openapi.info.version}`);
    const codes = await page.locator("#codes tbody tr").count();
    assert.equal(codes, openapi.components.schemas.ProblemCode.oneOf.length);
    const text = await page.locator("#reference").textContent();
    assert.doesNotMatch(text, /undefined|\[object|NaN|\*\*|\$ref/, "nothing came out as the machine sees it");
    assert.equal(await page.locator("[style], #reference script").count(), 0);
  }));

  test("looks right in every size and colour", () => withPage(async (page) => {
    const places = ["createPayment", "event-payment-completed", "socket-subscribe", "codes"];
    for (const look of LOOKS) {
      await wear(page, look);
      await page.evaluate(() => scrollTo(0, 0));
      await shot(page, `reference-${look.name}-1-top`);
      for (const place of places) {
        await page.evaluate((id) => document.getElementById(id).scrollIntoView(), place);
        await shot(page, `reference-${look.name}-${place}`);
      }
    }
    await assertFine(page, "the whole page");
    // One of each kind is enough for the other looks: axe-core takes a long time for the whole.
    await page.locator(".operation").evaluateAll((nodes, kept) => nodes.forEach((node) => kept.includes(node.id) || node.remove()), places);
    for (const look of LOOKS) {
      await wear(page, look);
      await assertFine(page, look.name);
    }
  }));

  test("opens what lies deeper, and it is in order too", () => withPage(async (page) => {
    const article = page.locator("#createPayment");
    await article.locator(".answer[data-status='201'] summary").first().click();
    const token = article.locator(".answer[data-status='201'] .field", { hasText: "client_token" }).first();
    await token.waitFor();
    await article.locator(".answer[data-status='201'] .deeper summary", { hasText: "transfers" }).click();
    await article.locator(".answer[data-status='201'] .field", { hasText: "settled_by" }).first().waitFor();
    await article.locator(".answer[data-status='409'] summary").first().click();
    assert.match(await article.locator(".answer[data-status='409']").textContent(), /order_id_taken.*Another payment has this order_id/s);
    await page.locator("#event-payment-completed .deeper summary").click();
    const body = JSON.parse(await page.locator("#event-payment-completed pre").textContent());
    assert.equal(body.type, "payment.completed");
    await assertFine(page, "opened");
    await page.evaluate(() => document.getElementById("createPayment").scrollIntoView());
    await shot(page, "reference-opened");
  }));

  test("is found by the filter and the keyboard alone", () => withPage(async (page) => {
    const all = (await ids(page)).length;
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.id), "filter");
    await page.keyboard.type("redeliver");
    assert.deepEqual(await shown(page), ["redeliver", "codes"]);
    assert.match(await page.locator("#filtered").textContent(), /^\d found$/);
    await page.keyboard.press("Control+A");
    await page.keyboard.type("post /v1/endpoints/{id}/rotate");
    assert.deepEqual(await shown(page), ["rotateSecret"]);
    await page.keyboard.press("Control+A");
    await page.keyboard.type("wallet_exhausted");
    assert.deepEqual(await shown(page), ["createPayment", "createPaymentClassic", "codes"], "errors are found where they happen");
    await assertFine(page, "filtered");
    await shot(page, "reference-filtered");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("nothing has this name");
    assert.equal(await page.locator("#filtered").textContent(), "Nothing fits");
    await page.keyboard.press("Escape");
    assert.equal((await shown(page)).length, all);
  }));

  test("a link leads to its place, and the contents say where one is", () => withPage(async (page) => {
    await page.waitForFunction(() => Math.abs(document.getElementById("cancelPayment").getBoundingClientRect().top) < 200);
    await page.locator("#contents a[aria-current]").waitFor();
    await page.locator("#contents a[href='#getStats']").click();
    assert.equal(new URL(page.url()).hash, "#getStats");
    await page.locator("#contents a[href='#getStats'][aria-current=location]").waitFor();
  }, "/reference#cancelPayment"));

  test("requests that are copied from it work as they are", () => withPage(async (page) => {
    await page.locator("#getHealth .copy").first().click();
    await page.locator("#getHealth .copy", { hasText: "Copied" }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `curl ${demo.url}/health`);
    const create = await page.locator("#createPayment pre").first().textContent();
    assert.match(create, /^curl -X POST http:\/\/127\.0\.0\.1:\d+\/v1\/payments \\\n  -H "authorization: Bearer \$PAYBELL_KEY" \\/);
    assert.ok(JSON.parse(/-d '(.*)'$/s.exec(create)[1]).order_id);
  }));
});

/** What is on the screen, not the whole of a very long page. */
const shot = (page, name) => screenshot(page, name, { fullPage: false });

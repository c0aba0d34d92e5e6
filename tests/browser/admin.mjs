// What the dashboard's tests stand on: a hub with a receiver of webhooks that answers as it is told, and pages that are watched.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { freshAddress, openShop } from "./shop.mjs";
import { LOOKS, accessibility, screenshot, startBrowser, startProgram, until, watchPage, wear } from "./support.mjs";

const ACTION_MS = 20_000;

/**
 * `office.call` asks the hub as a program would; `office.receiver.answer` is what webhooks are told. `office.anew` is for before
 * each test: a hub that knows nothing, paid at an address of its own, so that no test stands on what another one left.
 */
export async function openOffice() {
  const settings = { allow_insecure_callbacks: true };
  const shop = await openShop(settings);
  const receiver = await startReceiver();
  const browser = await startBrowser();
  const office = { shop, receiver, browser, url: shop.proxy.url };
  office.call = (method, path, body, key) => call(shop.hub.url, method, path, body, key);
  office.withPage = (view, run, look = LOOKS[2]) => withPage(office, view, run, look);
  const create = shop.createPayment;
  let [wallet, data, books] = [freshAddress(), "paybell.redb", 0];
  shop.createPayment = (more) => create({ wallet_address: wallet, ...more });
  office.anew = async (chains) => {
    await shop.hub.stop();
    [wallet, data] = [freshAddress(), `books-${++books}.redb`];
    receiver.answer = () => ({ status: 200, text: "" });
    receiver.got.length = 0;
    delete settings.chains;
    Object.assign(settings, chains && { chains });
    await office.startHub();
  };
  /** On the data it had. */
  office.startHub = () => shop.startHub(data);
  office.close = async () => {
    await browser.close();
    await shop.close();
    await receiver.stop();
  };
  return office;
}

/** A chain on which nothing happens but what is ordered: blocks as far apart as TRON's, and nodes that fail. */
export async function startSlowChain() {
  const slot_ms = 3_000;
  const sandbox = await startProgram(["sandbox", "--listen", "127.0.0.1:0", "--block-ms", `${slot_ms}`], "sandbox");
  const order = (method, path, body) => call(sandbox.url, method, `/sandbox/${path}`, body);
  return {
    settings: [{ name: "tron", slot_ms, endpoints: [{ url: sandbox.url, requests_per_second: 1000, requests_per_day: 10_000_000 }] }],
    mine: (blocks) => order("POST", "mine", { blocks }),
    fail: (fault) => order("POST", "fault", fault),
    mend: () => order("DELETE", "fault"),
    stop: sandbox.stop,
  };
}

/** Posts to it are kept. `answer(request)` gives status and text, and headers if it likes. */
async function startReceiver() {
  const receiver = { got: [], answer: () => ({ status: 200, text: "" }) };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const { status, text: said, headers } = receiver.answer(request);
    receiver.got.push({ headers: request.headers, url: request.url, body: JSON.parse(text), status });
    response.writeHead(status, { "content-type": "text/html", ...headers }).end(said);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  receiver.url = `http://127.0.0.1:${server.address().port}/hooks`;
  receiver.stop = () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
  return receiver;
}

async function call(origin, method, path, body, key) {
  const headers = { ...(body && { "content-type": "application/json" }), ...(key && { authorization: `Bearer ${key}` }) };
  const answer = await fetch(origin + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`);
  return text ? JSON.parse(text) : null;
}

/** A tab of its own for one test; afterwards nothing that a page must not do may have happened. */
async function withPage(office, view, run, look) {
  const context = await office.browser.newContext({ locale: "en-GB", viewport: look.viewport, colorScheme: look.colorScheme, reducedMotion: "reduce" });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  page.setDefaultTimeout(ACTION_MS);
  const watch = watchPage(page, office.url);
  try {
    const answer = await page.goto(`${office.url}/admin#/${view}`);
    await run(page, watch, answer);
    assert.deepEqual(watch.problems, [], "console errors, broken policies, page errors and requests to other origins");
    assert.deepEqual(watch.expected, [], "failures that were to be provoked");
  } catch (error) {
    await screenshot(page, "admin-failure").catch(() => {});
    error.message += `\n--- the page's problems:\n${watch.problems.join("\n")}\n--- the hub said:\n${office.shop.hub.said().slice(-2000)}`;
    throw error;
  } finally {
    await context.close();
  }
}

/** Goes to a view as somebody does who follows a link, and waits until it has its data. */
export async function visit(page, view) {
  await page.evaluate((hash) => { location.hash = hash; }, `#/${view}`);
  await settled(page);
}

export async function settled(page) {
  await page.locator(".view h1").waitFor();
  await page.waitForFunction(() => !document.querySelector(".view[aria-busy]"));
}

export const live = (page) => page.locator("#line[data-state=live]").waitFor();

export async function assertFine(page, name) {
  const { found, passes } = await accessibility(page);
  assert.deepEqual(found, [], `axe-core: ${name}`);
  assert.ok(passes > 15, "axe-core really looked");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${name} scrolls sideways by ${wide} px`);
}

/** In every size and colour: accessible, not too wide, and a picture to look at. */
export async function assertLooksRight(page, name) {
  for (const look of LOOKS) {
    await wear(page, look);
    await page.evaluate(() => scrollTo(0, 0));
    await assertFine(page, `${name} ${look.name}`);
    await screenshot(page, `admin-${name}-${look.name}`);
  }
  await wear(page, LOOKS[2]);
}

export const dialog = (page) => page.locator("dialog[open]");
export const act = (page, name) => page.getByRole("button", { name, exact: true }).click();
/** Presses a button of the open dialog and waits until the dialog is gone. */
export async function confirm(page, name) {
  await dialog(page).getByRole("button", { name, exact: true }).click();
  await dialog(page).waitFor({ state: "detached" });
}
export const said = (page, text) => page.locator("#said .toast", { hasText: text }).waitFor();

export { LOOKS, until, wear };

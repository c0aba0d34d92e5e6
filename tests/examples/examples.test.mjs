// The shops of examples/, started as their README says, against `paybell demo`: each sells, once, and believes no forgery.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Webhook } from "standardwebhooks";
import { accessibility, startBrowser } from "../browser/support.mjs";
import { post, startDemo, until } from "../clients/demo.mjs";

const SHOP = fileURLToPath(new URL("../../examples/shop/", import.meta.url));
const PACKAGES = fileURLToPath(new URL("node_modules", import.meta.url));
const START_DEADLINE_MS = 30_000;
const COMMANDS = readFileSync(join(SHOP, "README.md"), "utf8").match(/^WEBHOOK_SECRET=whsec_\.\.\. .+$/gm);
const get = async (url) => (await fetch(url)).json();

let demo, folder;

before(async () => {
  demo = await startDemo();
  // The README has `npm install` in the example's folder; here the packages are the test's, and its folder stays clean.
  folder = mkdtempSync(join(tmpdir(), "paybell-examples-"));
  cpSync(SHOP, folder, { recursive: true, filter: (path) => !path.includes("node_modules") });
  symlinkSync(PACKAGES, join(folder, "node_modules"));
});

after(async () => {
  await demo?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

test("the README starts a shop in Python and one in Node", () => {
  assert.deepEqual(COMMANDS.map((command) => command.split(" ").at(-1)), ["shop.py", "shop.mjs"]);
});

for (const command of COMMANDS) {
  describe(command, () => {
    let shop;

    before(async () => { shop = await startShop(command); });

    after(async () => { await shop?.stop(); });

    test("sells once, whatever is repeated", async () => {
      const page = await fetch(shop.url);
      assert.match(page.headers.get("content-type"), /^text\/html/);
      assert.equal(await page.text(), readFileSync(join(SHOP, "index.html"), "utf8"));
      const order = await buy(shop);
      const [payment] = (await get(`${demo.hub}/v1/payments?order_id=${order.order}`)).data;
      assert.equal(payment.success_url, `${shop.url}/?order=${order.order}`);
      await pay(payment);
      const paid = await until("the shop says paid", async () => {
        const known = await get(`${shop.url}/orders/${order.order}`);
        return known.state === "paid" && known;
      });
      assert.equal(paid.sent, 1);
      const delivery = (await get(`${demo.hub}/v1/deliveries?payment_id=${payment.payment_id}&type=payment.completed`)).data[0];
      await redeliver(delivery);
      assert.equal((await get(`${shop.url}/orders/${order.order}`)).sent, 1, "the same event again");
    });

    test("believes nothing that the hub did not sign", async () => {
      const order = await buy(shop);
      const body = JSON.stringify({ type: "payment.completed", id: "evt_forged", sequence: 99, order_id: order.order, status: "completed" });
      const now = new Date(), old = new Date(now - 600_000);
      const [ours, strangers] = [new Webhook(demo.secret), new Webhook("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")];
      const forgeries = {
        "no signature": {},
        "a stranger's": headers(now, strangers.sign("evt_forged", now, body)),
        "ten minutes old": headers(old, ours.sign("evt_forged", old, body)),
        "another body's": headers(now, ours.sign("evt_forged", now, body.replace("completed", "created"))),
        "another event's": headers(now, ours.sign("evt_other", now, body)),
        "not base64": headers(now, "v1,$$$"),
        "of no known form": headers(now, "nonsense"),
        "without a version": headers(now, ours.sign("evt_forged", now, body).slice(3)),
        "at no time": { ...headers(now, ours.sign("evt_forged", now, body)), "webhook-timestamp": "yesterday" },
      };
      for (const [what, sent] of Object.entries(forgeries)) {
        const answer = await fetch(`${shop.url}/webhook`, { method: "POST", body, headers: sent });
        assert.equal(answer.status, 401, what);
      }
      assert.equal((await get(`${shop.url}/orders/${order.order}`)).state, "open");
      const real = await fetch(`${shop.url}/webhook`, { method: "POST", body, headers: headers(now, ours.sign("evt_forged", now, body)) });
      assert.equal(real.status, 204, "the same, signed by the hub's secret");
      assert.equal((await get(`${shop.url}/orders/${order.order}`)).state, "paid");
    });

    test("is bought in by a browser, which comes back to what is paid", async () => {
      const browser = await startBrowser();
      try {
        const page = await browser.newPage();
        const errors = [];
        page.on("pageerror", (error) => errors.push(`${page.url()}: ${error}`));
        await page.goto(shop.url);
        assert.deepEqual((await accessibility(page)).found, []);
        await page.getByRole("button", { name: "Pay with USDT" }).click();
        await page.waitForURL((url) => url.origin === demo.hub);
        const [payment] = (await get(`${demo.hub}/v1/payments?status=pending&limit=1`)).data;
        assert.equal(`${new URL(payment.success_url).origin}/`, `${shop.url}/`);
        await page.goBack();
        await page.getByText("We are waiting for your payment.").waitFor();
        assert.ok((await page.getByRole("link", { name: "Go on paying" }).getAttribute("href")).startsWith(demo.hub));
        await page.getByRole("link", { name: "Go on paying" }).click();
        await page.waitForURL((url) => url.origin === demo.hub);
        await pay(payment);
        const { host } = new URL(shop.url);
        await page.getByRole("link", { name: host }).click();
        await page.getByText("Paid, thank you!").waitFor();
        assert.deepEqual((await accessibility(page)).found, []);
        assert.equal(await page.getByRole("link", { name: "Go on paying" }).isVisible(), false);
        assert.deepEqual(errors, []);
      } finally {
        await browser.close();
      }
    });

    test("knows no other path, and no other's order", async () => {
      for (const [method, path] of [["GET", "/orders/"], ["GET", "/orders/nothing"], ["GET", "/webhook"], ["POST", "/"]]) {
        assert.equal((await fetch(shop.url + path, { method })).status, 404, path);
      }
    });
  });
}

const headers = (at, signature) =>
  ({ "webhook-id": "evt_forged", "webhook-timestamp": `${Math.floor(at / 1000)}`, "webhook-signature": signature });

async function buy(shop) {
  const answer = await fetch(`${shop.url}/orders`, { method: "POST" });
  assert.equal(answer.status, 201);
  const order = await answer.json();
  assert.ok(order.checkout_url.startsWith(`${demo.hub}/`), order.checkout_url);
  return order;
}

async function pay(payment) {
  const paid = await post(`${demo.sandbox}/sandbox/transfer`, { to: payment.wallet_address, amount: payment.amount_to_pay });
  assert.equal(paid.status, 200);
}

/** Has the hub send a webhook again, and waits until the shop has taken it. */
async function redeliver({ id }) {
  const asked = await fetch(`${demo.hub}/v1/deliveries/${id}/redeliver`, { method: "POST" });
  assert.ok(asked.ok, await asked.text());
  await until("the webhook came again", async () => {
    const { attempt_log } = await get(`${demo.hub}/v1/deliveries/${id}`);
    return attempt_log.filter((attempt) => attempt.status === 204).length === 2;
  });
}

/** Runs the command in the example's folder and answers the address that the shop prints. */
async function startShop(command) {
  const line = `exec env ${command.replace("whsec_...", demo.secret)}`;
  const child = spawn("sh", ["-c", line], { cwd: folder, env: { ...process.env, HUB_URL: demo.hub, PORT: "0" }, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => { said = (said + chunk).slice(-10_000); });
  const exit = once(child, "exit");
  const stop = async () => { child.kill(); await exit; };
  const url = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the shop did not come up\n${said}`)), START_DEADLINE_MS);
    exit.then(() => reject(new Error(`the shop ended early\n${said}`)), reject);
    createInterface({ input: child.stdout }).on("line", (text) => {
      const [, found] = /^shop (http:\S+)$/.exec(text) ?? [];
      if (found) { clearTimeout(timer); resolve(found); }
    });
  }).catch(async (error) => { child.kill(); throw error; });
  return { url, stop };
}

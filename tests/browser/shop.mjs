// A shop on another origin than its hub: the hub on a sandbox chain, a proxy before it, and pages that import /paybell.js.

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProxy } from "./proxy.mjs";
import { startProgram } from "./support.mjs";

const BLOCK_MS = 100;
const WALLET = "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7";
const GUIDE = readFileSync(new URL("../../docs/integration.md", import.meta.url), "utf8");
const EXAMPLE = /```html\n([\s\S]*?)```/.exec(GUIDE)?.[1];
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** A TRON address that nobody else is paid at. */
export function freshAddress() {
  const sha = (bytes) => createHash("sha256").update(bytes).digest();
  const payload = Buffer.concat([Buffer.from([0x41]), randomBytes(20)]);
  const whole = Buffer.concat([payload, sha(sha(payload)).subarray(0, 4)]);
  let number = BigInt(`0x${whole.toString("hex")}`);
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  return text;
}

/**
 * Everything that a shop needs; `shop.hub` can be stopped, killed and started again, on the same data or, with another `data`, on
 * other ones. `settings` go into the hub's configuration.
 */
export async function openShop(settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), "paybell-shop-"));
  const sandbox = await startProgram(["sandbox", "--listen", "127.0.0.1:0", "--block-ms", `${BLOCK_MS}`], "sandbox");
  const proxy = await startProxy();
  const pages = await servePages(proxy.url);
  const config = join(folder, "config.json");
  const shop = { proxy, sandbox, url: pages.url, hub: null };
  shop.startHub = async (data = "paybell.redb") => {
    writeFileSync(config, JSON.stringify({
      listen: "127.0.0.1:0",
      data: join(folder, data),
      allowed_origins: [pages.url],
      drain_seconds: 2,
      chains: [{ name: "tron", slot_ms: BLOCK_MS, endpoints: [{ url: sandbox.url, requests_per_second: 1000, requests_per_day: 10_000_000 }] }],
      ...settings,
    }));
    shop.hub = await startProgram(["serve", "--config", config], "hub");
    proxy.to = Number(new URL(shop.hub.url).port);
  };
  shop.close = async () => {
    await shop.hub?.stop();
    await sandbox.stop();
    await proxy.stop();
    await pages.stop();
    rmSync(folder, { recursive: true });
  };
  let orders = 0;
  shop.createPayment = async (more = {}) => {
    const number = ++orders;
    const fields = { wallet_address: WALLET, expected_amount_usdt: `3.${100_001 + number}`, order_id: `order-${number}`, ...more };
    const payment = await ask(shop.hub.url, "/v1/payments", fields);
    return { ...payment, id: payment.payment_id, token: payment.client_token };
  };
  shop.pay = (payment, amount = payment.amount_to_pay) => ask(sandbox.url, "/sandbox/transfer", { to: payment.wallet_address, amount });
  /** Nothing moves on the chain but what is ordered, until `run` is over. */
  shop.holdingStill = async (run) => {
    await ask(sandbox.url, "/sandbox/pause", {});
    try {
      await run();
    } finally {
      await ask(sandbox.url, "/sandbox/resume", {});
    }
  };
  /** So many blocks at once. Their times run ahead of the clock. */
  shop.mine = (blocks) => ask(sandbox.url, "/sandbox/mine", { blocks });
  /** A hub that waits for nothing looks at its chain once a minute only; this payment stays open. */
  shop.stayAwake = () => shop.createPayment({ wallet_address: freshAddress() });
  shop.assignUnmatched = async (payment) => {
    const { data } = await ask(shop.hub.url, "/v1/transfers?state=unmatched");
    const { id } = data.find((transfer) => transfer.payment_id === payment.id);
    return ask(shop.hub.url, `/v1/transfers/${encodeURIComponent(id)}/assign`, { payment_id: payment.id });
  };
  shop.fork = (depth, drop) => ask(sandbox.url, "/sandbox/fork", { depth, drop });
  shop.cancel = (payment) => ask(shop.hub.url, `/v1/payments/${payment.id}/cancel`, {});
  /** As its payer sees it. */
  shop.paymentNow = (payment) => ask(shop.hub.url, `/v1/payments/${payment.payment_id}`, null, payment.client_token);
  shop.eventsOf = async (payment) => (await ask(shop.hub.url, `/v1/payments/${payment.id}/events`)).data;
  await shop.startHub();
  return shop;
}

/** `/example` is the one in docs/integration.md; `/watch` keeps what it is told. What is to be watched stands behind the #. */
async function servePages(hub) {
  const watching = `<!doctype html><title>Checkout</title><script type="module">
    import { watchPayment } from "${hub}/paybell.js";
    Object.assign(window, { updates: [], states: [] });
    const [id, token] = location.hash.slice(1).split("&");
    window.watch = watchPayment({ id, token, onUpdate: (u) => updates.push(u), onConnection: (c) => states.push(c) });
  </script>`;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, hub);
    if (!["/watch", "/example"].includes(pathname)) return void response.writeHead(204).end();
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(pathname === "/watch" ? watching : example(hub, searchParams));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
  return { url: `http://127.0.0.1:${server.address().port}`, stop };
}

const example = (hub, fields) => EXAMPLE
  .replace("https://pay.example", hub)
  .replace("PAYMENT_ID", fields.get("id"))
  .replace("CLIENT_TOKEN", fields.get("token"));

async function ask(origin, path, body, token) {
  const post = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const asPayer = token && { headers: { authorization: `Bearer ${token}` } };
  const answer = await fetch(origin + path, post ?? asPayer ?? {});
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

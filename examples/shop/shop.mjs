// A shop that sells one thing for USDT through a paybell hub; README.md says how to run it.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const { HUB_URL = "http://127.0.0.1:5000", HUB_KEY, WALLET = "demo", PORT = 3000, WEBHOOK_SECRET } = process.env;
const page = readFileSync(new URL("index.html", import.meta.url));
const webhook = new Webhook(WEBHOOK_SECRET);
const orders = new Map(), seen = new Set();   // a real shop: its database, with a unique column for the event id

async function createPayment(order) {
  const answer = await fetch(`${HUB_URL}/v1/payments`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": order, ...(HUB_KEY && { authorization: `Bearer ${HUB_KEY}` }) },
    body: JSON.stringify({ wallet: WALLET, expected_amount_usdt: "3.00", order_id: order, callback_url: `${shop}/webhook`, success_url: `${shop}/?order=${order}` }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

function happened(event) {
  const order = orders.get(event.order_id);
  if (!order || seen.has(event.id)) return;
  seen.add(event.id);
  if (event.type === "payment.completed") {
    if (order.state === "open") order.sent += 1;   // once, also when a fork takes a payment back and brings it again
    order.state = "paid";
  } else if (event.type === "payment.reverted" && order.state === "paid") order.state = "lost";
}

async function respond({ method, url, headers }, body) {
  const { pathname } = new URL(url, shop);
  if (method === "GET" && pathname === "/") return [200, page, "text/html; charset=utf-8"];
  const known = method === "GET" && orders.get(pathname.replace("/orders/", ""));
  if (known) return [200, JSON.stringify(known), "application/json"];
  if (method === "POST" && pathname === "/orders") {
    const order = { order: randomUUID(), state: "open", sent: 0 };
    orders.set(order.order, order);   // known before the first webhook comes
    order.checkout_url = (await createPayment(order.order)).checkout_url;
    return [201, JSON.stringify(order), "application/json"];
  }
  if (method !== "POST" || pathname !== "/webhook") return [404];
  happened(webhook.verify(body, headers));
  return [204];
}

const server = createServer(async (request, response) => {
  try {
    const [status, body, type = "text/plain"] = await respond(request, await text(request));
    response.writeHead(status, { "content-type": type }).end(body);
  } catch (error) {
    response.writeHead(error instanceof WebhookVerificationError ? 401 : 502).end();
  }
});
server.listen(Number(PORT), "127.0.0.1", () => console.log("shop", shop = process.env.SHOP_URL ?? `http://127.0.0.1:${server.address().port}`));
let shop;

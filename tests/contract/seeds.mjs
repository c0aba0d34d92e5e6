// Furnishes a demo so that every operation has something to succeed with, and says what there is.

import assert from "node:assert/strict";
import { until } from "../clients/demo.mjs";

const UNMATCHED = 6;
const ADDRESSES = ["TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"];

/** A client of one hub that holds a key. */
export function client(hub, key = null) {
  const headers = { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) };
  return async (method, path, body) => {
    const response = await fetch(hub + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text && JSON.parse(text);
  };
}

/** Answers the data that requests need, by the format that the document gives it, and the key of this run. */
export async function seed(demo, receiver) {
  const made = await client(demo.hub)("POST", "/v1/keys", { name: "contract", scope: "admin" });
  const call = client(demo.hub, made.key);
  const spareKey = await call("POST", "/v1/keys", { name: "to be revoked", scope: "read" });
  const endpoint = await call("POST", "/v1/endpoints", { url: receiver.url, description: "kept" });
  const spareEndpoint = await call("POST", "/v1/endpoints", { url: receiver.url, description: "to be deleted" });
  const pay = (to, amount) => client(demo.sandbox)("POST", "/sandbox/transfer", { to, amount });
  const create = (order_id, amount, more = {}) =>
    call("POST", "/v1/payments", { wallet: "demo", expected_amount_usdt: amount, order_id, callback_url: receiver.url, ...more });
  const paid = await create("PAID", "25");
  const open = await create("OPEN", "26", { match: "accumulate", tolerance: "10000", metadata: { cart: [1, 2.5, "x"] } });
  await pay(paid.wallet_address, "25");
  await pay(open.wallet_address, "5");
  // Several that settle nothing: each assignment uses one up.
  for (let n = 0; n < UNMATCHED; n++) await pay(paid.wallet_address, `1.0${n}`);
  const status = async ({ payment_id }) => (await call("GET", `/v1/payments/${payment_id}`)).status;
  await until("the payment is completed", async () => (await status(paid)) === "completed");
  const transfers = await until("the others are listed", async () => {
    const { data } = await call("GET", "/v1/transfers");
    return data.length === UNMATCHED && data;
  });
  await until("everything was delivered", async () => {
    const { data } = await call("GET", "/v1/deliveries?limit=100");
    return data.length > 10 && data.every(({ state }) => state === "delivered");
  });
  const { data: deliveries } = await call("GET", "/v1/deliveries?limit=100");
  const { data: events, epoch } = await call("GET", "/v1/events?limit=100");
  const place = `${epoch}:${events.length}`;
  return {
    key: made.key,
    "tron-address": ADDRESSES,
    "wallet-name": ["demo"],
    "chain-name": ["tron"],
    uri: [receiver.url, `${receiver.url}?b=2`],
    "webhook-secret": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    epoch: [epoch],
    "last-event-id": [place],
    "transfer-id": transfers.map(({ id }) => id),
    "transfer-place": transfers.map(({ id, block_timestamp }) => `${block_timestamp}-${id}`),
    "delivery-id": deliveries.map(({ id }) => id).slice(0, 8),
    "endpoint-id": [endpoint.id],
    "endpoint-or-callbacks": [endpoint.id, "callbacks"],
    "key-id": [made.id],
    uuid: [paid.payment_id, open.payment_id],
    spare: {
      revokeKey: { kept: made.id, instead: spareKey.id },
      deleteEndpoint: { kept: endpoint.id, instead: spareEndpoint.id },
    },
    token: open.client_token,
    payment: open.payment_id,
  };
}

// The official Standard Webhooks libraries, for Node and Python, accept what the hub sends, and nothing that was changed on the way.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Webhook } from "standardwebhooks";
import { post, startDemo, startReceiver, until } from "./demo.mjs";

const WALLET = "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7";
const PYTHON = fileURLToPath(new URL("verify.py", import.meta.url));
let demo, receiver, hooks;

before(async () => {
  demo = await startDemo();
  receiver = await startReceiver();
  const payment = { wallet_address: WALLET, expected_amount_usdt: "12.34", order_id: "ÄÖÜ 😀 \"quoted\"", callback_url: receiver.url,
    metadata: { note: "naïve 漢字", nested: [1, 2.50, null] } };
  const created = await post(`${demo.hub}/v1/payments`, payment);
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const paid = await post(`${demo.sandbox}/sandbox/transfer`, { to: WALLET, amount: "12.34" });
  assert.equal(paid.status, 200);
  hooks = await until("three webhooks are there", () => receiver.received.length >= 3 && receiver.received);
});

after(async () => {
  await receiver?.stop();
  assert.equal(await demo?.stop(), 0, "SIGTERM ends the demo with 0");
});

test("created, detected and completed come in order, each with its own id", () => {
  const types = hooks.map((hook) => JSON.parse(hook.body).type);
  assert.deepEqual(types, ["payment.created", "payment.detected", "payment.completed"]);
  assert.equal(new Set(hooks.map((hook) => hook.headers["webhook-id"])).size, 3);
});

test("the flat fields of the replaced service are there", () => {
  const body = JSON.parse(hooks[2].body);
  assert.equal(body.expected_amount_usdt, 12.34);
  assert.equal(body.received_amount_usdt, 12.34);
  assert.equal(body.currency, "USDT_TRC20");
  assert.equal(body.wallet_address, WALLET);
  assert.equal(body.order_id, "ÄÖÜ 😀 \"quoted\"");
  assert.equal(body.status, "completed");
  assert.match(body.transaction_hash, /^[0-9a-f]{64}$/);
  assert.ok(Number.isInteger(body.block_timestamp));
  // The node may call a block final before the hub has seen the nineteenth on top of it.
  assert.ok(Number.isInteger(body.confirmations) && body.confirmations >= 1);
  assert.deepEqual(body.metadata, { note: "naïve 漢字", nested: [1, 2.5, null] });
});

test("the official Node library accepts each and refuses a changed one", () => {
  const webhook = new Webhook(demo.secret);
  for (const { headers, body } of hooks) {
    assert.deepEqual(webhook.verify(body, headers), JSON.parse(body));
    assert.throws(() => webhook.verify(body.replace("12.34", "12.35"), headers));
    assert.throws(() => webhook.verify(body, { ...headers, "webhook-id": "evt_other" }));
  }
});

test("the official Python library accepts each and refuses a changed one", () => {
  const input = JSON.stringify({ secret: demo.secret, hooks });
  const { status, stdout, stderr } = spawnSync("python3", [PYTHON], { input, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trim(), `${hooks.length} verified`);
});

// A client and a receiver of the replaced service, unchanged: the script runs, and the receiver's first call is the completion.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { post, startDemo, startReceiver, until } from "./demo.mjs";

const SCRIPT = fileURLToPath(new URL("classic.py", import.meta.url));

test("the classic script passes and its receiver hears of the completion only", async () => {
  const demo = await startDemo();
  const receiver = await startReceiver();
  try {
    const script = spawn("python3", [SCRIPT, demo.hub, receiver.url], { stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    script.stdout.on("data", (chunk) => { printed += chunk; });
    const [code] = await once(script, "close");
    assert.equal(code, 0, printed);
    const id = printed.trim();
    assert.equal((await post(`${demo.sandbox}/sandbox/transfer`, { to: "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", amount: 7.25 })).status, 200);
    const status = await until("the payment is completed", async () => {
      const status = await (await fetch(`${demo.hub}/payment_status/${id}`)).json();
      return status.status === "completed" && status;
    });
    assert.equal(status.received_amount_usdt, 7.25);
    assert.ok(status.completed_at > status.created_at);
    await until("the receiver was called", () => receiver.received.length > 0);
    const bodies = receiver.received.map((hook) => JSON.parse(hook.body));
    assert.deepEqual(bodies.map((b) => [b.payment_id, b.status]), [[id, "completed"]]);
  } finally {
    await receiver.stop();
    await demo.stop();
  }
});

// web/paybell.d.ts: a shop's code compiles against it, and what a real hub says is what it declares.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openShop } from "./shop.mjs";
import { until } from "./support.mjs";
import { complaints } from "./typescript.mjs";

const MODULE = fileURLToPath(new URL("../../web/paybell.js", import.meta.url));

test("a shop's code compiles, and its mistakes do not", async () => {
  assert.equal(await complaints(fileURLToPath(new URL("types/shop.ts", import.meta.url))), "");
});

test("a hub serves both to every page, whole, and not twice", { timeout: 60_000 }, async () => {
  const shop = await openShop();
  try {
    for (const [file, type] of [["paybell.js", /^text\/javascript/], ["paybell.d.ts", /^text\/plain/]]) {
      const address = `${shop.hub.url}/${file}`;
      const first = await fetch(address, { headers: { origin: "https://any-shop.example" } });
      assert.match(first.headers.get("content-type"), type);
      assert.equal(first.headers.get("access-control-allow-origin"), "*");
      assert.equal(await first.text(), readFileSync(new URL(`../../web/${file}`, import.meta.url), "utf8"));
      const again = await fetch(address, { headers: { "if-none-match": first.headers.get("etag") } });
      assert.deepEqual([again.status, again.headers.get("access-control-allow-origin")], [304, "*"]);
    }
  } finally {
    await shop.close();
  }
});

test("payments and events of a real hub have the declared fields, and no others", { timeout: 60_000 }, async () => {
  const shop = await openShop();
  const folder = mkdtempSync(join(tmpdir(), "paybell-types-"));
  try {
    const paid = await shop.createPayment({ metadata: ["any", { json: null }], success_url: "https://shop.example/thanks" });
    await shop.pay(paid, "0.5");
    await shop.pay(paid);
    await until("it is paid", async () => (await shop.paymentNow(paid)).status === "completed");
    const payments = [await shop.paymentNow(await shop.createPayment()), await shop.paymentNow(paid)];
    const events = await shop.eventsOf(paid);
    assert.deepEqual(events.map(({ type }) => type).sort(), ["payment.completed", "payment.created", "payment.detected", "payment.mismatched"]);
    const said = (declared) => {
      const file = join(folder, `${declared}.ts`);
      const values = { Payment: payments, PaymentEvent: events }[declared];
      writeFileSync(file, values.map((value, i) => `import type { ${declared} as T${i} } from ${JSON.stringify(MODULE)};\nexport const v${i}: T${i} = ${JSON.stringify(value)};\n`).join(""));
      return complaints(file);
    };
    assert.equal(await said("Payment"), "");
    assert.equal(await said("PaymentEvent"), "");
    payments[0].surprise = 1;
    assert.match(await said("Payment"), /surprise/, "the compiler really looks");
  } finally {
    rmSync(folder, { recursive: true });
    await shop.close();
  }
});

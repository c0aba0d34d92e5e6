// What a tab of the dashboard knows of the hub's endpoints, without a browser: how often it asks, and what makes it ask sooner.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Endpoints } from "../../web/admin/hub.js";

/** A hub with one endpoint, whose description counts how often it was asked for; `hub.fails` is what it answers instead. */
function hub() {
  const hub = { asked: 0, fails: null, now: 0 };
  const endpoint = () => ({ id: "ep_1", status: "enabled", disabled_reason: null, disabled_at: null, description: `${++hub.asked}` });
  const ask = async () => {
    const one = endpoint();
    if (hub.fails) throw hub.fails;
    return one;
  };
  const calls = { endpoint: ask, endpoints: async () => ({ data: [await ask()] }) };
  return Object.assign(hub, { known: new Endpoints(calls, () => hub.now) });
}

const disabled = (reason) => ({ type: "endpoint.disabled", timestamp: "2026-11-24T10:00:00Z", endpoint: { id: "ep_1", url: "https://shop.example/hook", reason } });

describe("the endpoints that a tab knows", () => {
  test("are asked for every ten seconds at most, by however many views", async () => {
    const it = hub();
    await Promise.all([it.known.all(), it.known.all()]);
    it.now = 9_999;
    await it.known.all();
    assert.ok(!it.known.allDue);
    assert.equal(it.asked, 1);
    it.now = 10_000;
    assert.ok(it.known.allDue);
    assert.equal((await it.known.all())[0].description, "2");
  });

  test("are asked for at once after a deed", async () => {
    const it = hub();
    await it.known.one("ep_1");
    it.known.forget();
    assert.equal((await it.known.one("ep_1")).description, "2");
  });

  test("are polled no sooner after a failure, but whoever tries again is not told the old one", async () => {
    const it = hub();
    it.fails = new Error("busy");
    await assert.rejects(it.known.all(), /busy/);
    assert.ok(!it.known.allDue);
    it.fails = null;
    assert.equal((await it.known.all())[0].description, "2");
  });

  test("are known to be disabled the moment an event says so", async () => {
    const it = hub();
    const [list, one] = [it.known.all(), it.known.one("ep_1")];
    it.known.told([disabled("gone")]);
    await Promise.all([list, one]);
    const after = [(await it.known.all())[0], await it.known.one("ep_1")];
    for (const { status, disabled_reason, disabled_at } of after) {
      assert.deepEqual([status, disabled_reason, disabled_at], ["disabled", "gone", Date.UTC(2026, 10, 24, 10) / 1000]);
    }
    assert.equal(it.asked, 2);
  });

  test("may be enabled again by the hand that disabled them", async () => {
    const it = hub();
    await it.known.one("ep_1");
    it.known.told([disabled("by_hand")]);
    assert.equal((await it.known.one("ep_1")).status, "enabled");
  });
});

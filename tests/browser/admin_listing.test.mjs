// A list of the dashboard in pages, without a browser: what is read anew, what stays, and when it stops looking.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Listing } from "../../web/admin/listing.js";

const rows = (from, to) => Array.from({ length: from - to + 1 }, (_, i) => ({ id: from - i }));
const ids = (list) => list.rows.map(({ id }) => id);

/** A hub with rows 1 to `newest`, of which `fits` are found; it looks at `sight` rows for a page. */
function hub(newest, { fits = () => true, sight = 1_000 } = {}) {
  const asked = [];
  const read = async ({ after, limit }) => {
    asked.push(after);
    const data = [];
    let id = (after ?? hub.newest + 1) - 1;
    const last = id - sight;
    for (; id > 0 && id > last && data.length < limit; id--) if (fits(id)) data.push({ id });
    return { data, next: id > 0 ? id + 1 : null };
  };
  hub.newest = newest;
  return { read, asked };
}

describe("a list in pages", () => {
  test("is read page by page to its end", async () => {
    const list = new Listing(hub(5).read, "id", 2);
    await list.refresh();
    assert.deepEqual(ids(list), [5, 4]);
    await list.more();
    await list.more();
    assert.deepEqual(ids(list), [5, 4, 3, 2, 1]);
    assert.equal(list.next, null);
  });

  test("read anew keeps what was loaded below, where the two meet", async () => {
    const list = new Listing(hub(6).read, "id", 3);
    await list.refresh();
    await list.more();
    hub.newest = 8;
    await list.refresh();
    assert.deepEqual(ids(list), [8, 7, 6, 5, 4, 3, 2, 1]);
    hub.newest = 20;
    await list.refresh();
    assert.deepEqual(ids(list), [20, 19, 18], "with a gap in between nothing pretends to be whole");
    assert.equal(list.next, 18);
  });

  test("goes on where a filter found nothing yet, and stops to ask", async () => {
    const found = hub(100, { fits: (id) => id === 75, sight: 10 });
    const list = new Listing(found.read, "id", 5);
    await list.refresh();
    assert.deepEqual(ids(list), [75]);
    const far = hub(100, { fits: (id) => id === 3, sight: 10 });
    const other = new Listing(far.read, "id", 5);
    await other.refresh();
    assert.equal(far.asked.length, 5);
    assert.ok(other.unfinished, "nothing was found, but the end is not reached");
    await other.more();
    assert.deepEqual(ids(other), [3]);
    assert.ok(!other.unfinished);
  });

  test("changes rows in place, puts new ones on top, and is bounded", async () => {
    const list = new Listing(hub(3).read, "id", 50);
    await list.refresh();
    list.put({ id: 2, status: "paid" });
    assert.deepEqual(list.rows[1], { id: 2, status: "paid" });
    list.put({ id: 4 });
    list.remove(3);
    assert.deepEqual(ids(list), [4, 2, 1]);
    for (const row of rows(2_000, 1_000).reverse()) list.put(row);
    assert.equal(list.rows.length, 500);
    assert.equal(list.rows[0].id, 2_000);
    assert.ok(list.full);
  });
});

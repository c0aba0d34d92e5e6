// The checkout's parts by themselves, and its words: everything it says stands in the table, and everything in the table is said.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { asPayer, assertFine, stateIs } from "./payer.mjs";
import { openShop } from "./shop.mjs";
import { startBrowser } from "./support.mjs";

const WEB = fileURLToPath(new URL("../../web/", import.meta.url));
const read = (file) => readFileSync(join(WEB, file), "utf8");

// Without a package.json Node takes the pages' modules for something else.
const folder = mkdtempSync(join(tmpdir(), "paybell-pay-"));
cpSync(join(WEB, "pay"), folder, { recursive: true });
writeFileSync(join(folder, "package.json"), '{"type":"module"}');
const part = (name) => import(join(folder, name));
const [money, { ChainClock }, { tell }, { Words, chooseLanguage, chooseLocale }, { LANGUAGES }, looks] = await Promise.all(
  ["money.js", "clock.js", "story.js", "words.js", "strings.js", "looks.js"].map(part));
rmSync(folder, { recursive: true });

test("amounts are counted to the last digit, at any size", () => {
  for (const [a, b, left] of [
    ["10.5", "0.1", "10.4"], ["5.0", "5.0", "0.0"], ["1.000001", "1.0", "0.000001"], ["1.0", "1.000001", "0.0"],
    ["1000000.0", "0.000001", "999999.999999"], ["0.3", "0.1", "0.2"], ["7", "0.5", "6.5"],
    ["123456789012345678901.000000000000000001", "0.000000000000000002", "123456789012345678900.999999999999999999"],
  ]) assert.equal(money.minus(a, b), left, `${a} - ${b}`);
  assert.deepEqual([["2.0", "10.0"], ["1.10", "1.1"], ["0.000002", "0.000001"]].map(([a, b]) => money.compare(a, b)), [-1, 0, 1]);
  assert.deepEqual(["0.0", "0", "0.000001"].map(money.isZero), [true, true, false]);
  for (const wrong of ["", "1e3", "-1", "1,5", ".5", "0x10", "1.2.3"]) assert.throws(() => money.isZero(wrong), RangeError, wrong);
});

test("the chain's clock goes on by itself, and never back", () => {
  let ms = 5_000;
  const clock = new ChainClock(() => ms);
  assert.deepEqual([clock.now(), clock.until(1_000)], [null, null]);
  clock.hear(null);
  assert.equal(clock.now(), null, "a hub that has read no block tells nothing");
  clock.hear(900);
  ms += 40_000;
  assert.deepEqual([clock.now(), clock.until(1_000)], [940, 60]);
  clock.hear(930);
  assert.equal(clock.now(), 940, "the hub was behind");
  clock.hear(955);
  assert.equal(clock.until(1_000), 45, "the device had slept");
  ms += 3_600_000;
  assert.equal(clock.until(1_000), 0);
});

const payment = (more = {}) => ({ status: "pending", amount_to_pay: "5.0", received_amount: "0.0", transfers: [], ...more });
const event = (type, id, more = {}) => ({ type, transfer: { id, transaction_hash: id, log_index: 0, amount: "4.0", reason: null, ...more } });
const credit = (id, state) => ({ transaction_hash: id, log_index: 0, amount: "4.0", state });

test("a payment's story follows from its facts", () => {
  const state = (facts, events = [], left = 60) => tell(payment(facts), events, left).state;
  assert.equal(state({}), "waiting");
  assert.equal(state({}, [], null), "waiting", "without any time there is no end of it");
  assert.equal(state({}, [], 0), "time_up");
  assert.equal(state({ received_amount: "1.0" }), "partial");
  assert.equal(state({ transfers: [credit("a", "reverted")] }), "reverted");
  assert.equal(state({ transfers: [credit("a", "reverted"), credit("a", "seen")], status: "confirming" }), "confirming");
  assert.equal(state({ received_amount: "4.0", transfers: [credit("a", "reverted"), credit("a", "seen")] }), "partial", "it came back");
  assert.equal(state({}, [event("payment.mismatched", "a")]), "stray");
  assert.equal(state({}, [event("transfer.unmatched", "a", { reason: "early" })]), "uncounted");
  assert.equal(state({}, [event("transfer.unmatched", "a", { reason: "extra" })]), "waiting");
  // A stranger's dust on a shared address is nobody's try to pay.
  assert.equal(state({}, [event("payment.mismatched", "a", { amount: "0.049999" })]), "waiting");
  assert.equal(state({}, [event("payment.mismatched", "a", { amount: "0.05" })]), "stray");
  assert.equal(state({ status: "expired" }, [event("payment.mismatched", "a")]), "astray", "nobody is told that nothing came");
  assert.equal(state({ status: "expired" }, [event("payment.late", "a")]), "expired");
  for (const status of ["confirming", "underpaid", "expired", "cancelled"]) assert.equal(state({ status }), status);
  assert.equal(state({ status: "completed" }), "paid");
});

test("money that settles nothing is told of once, and no longer when the shop has accepted it", () => {
  const kinds = (facts, events) => tell(payment(facts), events, 60).notices.map(({ kind }) => kind);
  const twice = [event("payment.mismatched", "a"), event("payment.mismatched", "a")];
  assert.deepEqual(kinds({}, twice), ["mismatched"], "a fork brought it twice");
  const assigned = [...twice, event("transfer.assigned", "a")];
  assert.deepEqual(kinds({ status: "completed", transfers: [credit("a", "confirmed")] }, assigned), ["assigned"]);
  assert.deepEqual(kinds({ transfers: [credit("a", "reverted")] }, assigned), ["mismatched"], "a fork took the accepted one away");
  const unmatched = (reason) => [event("transfer.unmatched", "b", { reason })];
  const as = { extra: "extra", cancelled: "after_cancel", late: "late", too_many: "uncounted", wrong_amount: "uncounted", early: "uncounted" };
  for (const [reason, kind] of Object.entries(as)) assert.deepEqual(kinds({}, unmatched(reason)), [kind]);
  assert.deepEqual(kinds({ status: "expired", transfers: [credit("a", "reverted")] }, []), ["replaced"]);
  assert.deepEqual(kinds({ status: "completed", received_amount: "5.5" }, [{ type: "payment.overpaid", transfer: null }]), ["overpaid"]);
  assert.deepEqual(kinds({ status: "completed", received_amount: "5.0" }, [{ type: "payment.overpaid", transfer: null }]), [], "a fork took the surplus");
});

test("the language is that of the link, else the browser's, else English", () => {
  const tables = { en: {}, de: {}, "pt-BR": {} };
  const choose = (search, ...preferred) => chooseLanguage(search, preferred, tables);
  assert.equal(choose("?lang=de", "en-GB"), "de");
  assert.equal(choose("?lang=xx", "de-AT", "en"), "de");
  assert.equal(choose("", "fr", "pt-BR"), "pt-BR");
  assert.equal(choose("", "fr"), "en");
  assert.equal(choose("?lang=", undefined), "en");
  assert.deepEqual([chooseLocale("en", ["de-DE", "en-GB"]), chooseLocale("en", ["de"])], ["en-GB", "en"]);
});

test("numbers, plurals and times are written as the language does; what a table lacks is said in English", () => {
  const ar = { direction: "rtl", texts: { span_minutes: { zero: "z", one: "1", two: "2", few: "few {count}", many: "many", other: "o" }, due_amount: "{amount}" } };
  const words = new Words("ar", ["ar-EG"], { ...LANGUAGES, ar });
  assert.equal(words.direction, "rtl");
  assert.equal(words.say("span_minutes", { count: 3 }), "few \u2068٣\u2069");
  assert.equal(words.say("due_amount", { amount: "10.50" }), "\u206810.50\u2069", "money stays as it is");
  assert.equal(words.say("copy"), "Copy");
  const en = new Words("en", ["en-GB"]);
  assert.equal(en.say("span_minutes", { count: 1 }), "1 minute");
  assert.equal(en.say("step_block", { number: 1234567 }), "block 1,234,567");
  assert.deepEqual([59.2, 60, 3599.5, 86_400].map((s) => en.clock(s)), ["01:00", "01:00", "1:00:00", "24:00:00"]);
  assert.throws(() => en.say("nonsense"), /nonsense/);
  assert.throws(() => en.say("time_until"), /missing/);
});

test("every text is used, and every text used is there", () => {
  const sources = readdirSync(join(WEB, "pay")).filter((file) => file.endsWith(".js") && file !== "strings.js").map((file) => read(`pay/${file}`));
  const used = new Set([read("pay.html"), ...sources].join("\n").match(/"[a-z]+(?:_[a-z]+)*"/g).map((quoted) => quoted.slice(1, -1)));
  const texts = LANGUAGES.en.texts;
  // Without a script the table cannot be asked; the page says these two itself.
  used.add("no_script");
  assert.ok(read("pay.html").includes(`<noscript><p class="notice">${texts.no_script}</p></noscript>`));
  assert.ok(read("pay.html").includes(`<title>${texts.page_name}</title>`));
  assert.deepEqual(Object.keys(texts).filter((key) => !used.has(key)), []);
  const named = [looks.STATES, looks.NOTES, looks.NETWORKS].flatMap(Object.values).flatMap(({ tone, ...keys }) => Object.values(keys));
  for (const key of [...named, ...looks.STEP_NAMES, ...Object.values(looks.TROUBLES).flat()]) assert.ok(key in texts, key);
  for (const [, key] of sources.join("\n").matchAll(/\bsay\("(\w+)"/g)) assert.ok(key in texts, key);
  for (const { direction, texts: table } of Object.values(LANGUAGES)) {
    assert.match(direction, /^(ltr|rtl)$/);
    for (const key of Object.keys(table)) assert.ok(key in texts, `${key} is in no English table`);
  }
});

describe("in another language", { timeout: 120_000 }, () => {
  const place = {};
  before(async () => {
    Object.assign(place, { browser: await startBrowser(), shop: await openShop() });
    await place.shop.stayAwake();
  }, { timeout: 60_000 });
  after(async () => {
    await place.browser?.close();
    await place.shop?.close();
  });

  /** A table in which every text is marked, written from right to left. */
  const marked = `${read("pay/strings.js")}
    const mark = (text) => (typeof text === "string" ? "⟦" + text + "⟧" : Object.fromEntries(Object.entries(text).map(([form, one]) => [form, mark(one)])));
    LANGUAGES.he = { direction: "rtl", texts: Object.fromEntries(Object.entries(en).map(([key, text]) => [key, mark(text)])) };`;
  const prepare = (page) => page.route("**/assets/pay/strings.js", (route) => route.fulfill({ contentType: "text/javascript", body: marked }));

  /** What the page shows or says that is in no table. */
  const strangers = (page) => page.evaluate(() => {
    const data = new Set([...document.querySelectorAll("#due, #address, #about dd, #notes code")].flatMap((node) => [node.textContent, node.title]));
    const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
    const said = [document.title];
    while (walker.nextNode()) {
      const { parentElement: parent, data: text } = walker.currentNode;
      if (!parent.closest("script, style, noscript, title, #due, #address")) said.push(text);
    }
    for (const node of document.querySelectorAll("*")) for (const name of ["aria-label", "alt", "title", "placeholder"]) said.push(node.getAttribute(name) ?? "");
    const left = said.map((text) => text.replace(/⟦[^⟦⟧]*⟧/g, "").replace(/[\u2068\u2069]/g, "").trim());
    return left.filter((text) => text !== "" && /\p{L}/u.test(text) && !data.has(text));
  });

  const hasNothingOfItsOwn = async (page, name) => {
    assert.deepEqual(await strangers(page), [], name);
    await assertFine(page, name);
  };

  test("the page says nothing of its own, and turns with the script", () => asPayer(place, async (page, payment) => {
    assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]), ["he", "rtl"]);
    assert.match(await page.locator("#headline").textContent(), /^⟦Waiting for payment⟧$/);
    await hasNothingOfItsOwn(page, "waiting");
    const right = ({ left, width }) => left + width;
    const [mark, name] = await Promise.all([".mark", ".name"].map((part) => page.locator(`#steps > li:first-child ${part}`).evaluate((node) => node.getBoundingClientRect().toJSON())));
    assert.ok(right(mark) > right(name), "it runs from right to left");
    await place.shop.pay(payment, "1");
    await stateIs(page, "partial");
    await hasNothingOfItsOwn(page, "partial");
    await place.shop.pay(payment, "5");
    await stateIs(page, "paid");
    await place.shop.pay(payment, "2");
    await page.locator('#notes [data-kind="extra"]').waitFor();
    await hasNothingOfItsOwn(page, "overpaid");
  }, { prepare, query: "?lang=he", fields: { match: "accumulate", success_url: "https://shop.example/" } }));

  test("and so it does when there is trouble", () => asPayer(place, async (page) => {
    await page.locator("#trouble h1").waitFor();
    await hasNothingOfItsOwn(page, "trouble");
  }, { prepare, query: "?lang=he", token: "nonsense", ready: false }));
});

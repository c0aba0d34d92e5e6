// What the dashboard's charts make of the numbers of /v1/trends, without a browser: what is unknown stays unknown.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { blockToWebhook, chainLag, completedToday, paymentsPerHour, requestBudget, seconds } from "../../web/admin/trends.js";

const PLACES = 288;
const WIDTH = 300;
/** 2026-11-23T14:35:00Z: the first hour is not a whole one. */
const SINCE = Date.UTC(2026, 10, 23, 14, 35) / 1000;
const fill = (value) => new Array(PLACES).fill(value);
const at = (place, value, rest = null) => fill(rest).with(place, value);

const day = (more = {}) => ({
  bucket_seconds: WIDTH, since: SINCE, started_at: SINCE, created: fill(0), completed: fill(0),
  block_to_webhook: { count: fill(null), p50_ms: fill(null), p95_ms: fill(null) },
  chains: [{ name: "tron", lag_seconds: fill(null), requests: fill(null) }],
  ...more,
});

const time = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 5);

/** The end of the day that the charts show, and the first place of it that is of today. */
function today() {
  const now = new Date((SINCE + 287 * WIDTH) * 1000);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime() / 1000;
  return { now, first: Math.max(0, Math.ceil((midnight - SINCE) / WIDTH)) };
}

describe("the charts' numbers", () => {
  test("add up by the hour of the clock", () => {
    const { times, series, headline } = paymentsPerHour(day({ created: fill(1), completed: at(5, 2, 0) }));
    assert.equal(times[0], Date.UTC(2026, 10, 23, 14) / 1000);
    assert.equal(times.length, 25);
    const [created, completed] = series.map(({ values }) => values);
    assert.equal(created[0], 5, "25 minutes of the first hour");
    assert.equal(created[1], 12);
    assert.equal(created.reduce((a, b) => a + b), PLACES);
    assert.equal(completed[1], 2);
    assert.equal(headline, "288 created, 2 completed");
  });

  test("keep an hour of which nothing is known apart from one in which nothing happened", () => {
    const created = fill(null).fill(0, 17);
    const [{ values }] = paymentsPerHour(day({ created })).series;
    assert.deepEqual(values.slice(0, 3), [null, null, 0]);
  });

  test("begin where measuring began, but show an hour at least", () => {
    assert.equal(chainLag(day()).times.length, PLACES);
    const late = chainLag(day({ chains: [{ name: "tron", lag_seconds: at(287, 3), requests: fill(null) }] }));
    assert.equal(late.times.length, 12);
    assert.equal(late.times.at(-1), SINCE + 287 * WIDTH);
    assert.equal(late.series[0].values.at(-1), 3);
    const early = chainLag(day({ chains: [{ name: "tron", lag_seconds: at(100, 3), requests: fill(null) }] }));
    assert.equal(early.times.length, 188);
    assert.equal(early.series[0].values[0], 3);
  });

  test("say in words what the last webhooks took, and that there were none", () => {
    assert.match(blockToWebhook(day()).headline, /^No payment/);
    const told = blockToWebhook(day({ block_to_webhook: { count: at(9, 4), p50_ms: at(9, 350), p95_ms: at(9, 12_400) } }));
    assert.equal(told.headline, "Last 350 ms (half), 12 s (95 of 100); 4 webhooks");
  });

  test("tell what is left of the budgets that there are", () => {
    const node = (requests_today, requests_left_today) => ({ requests_today, requests_left_today });
    const headline = (...endpoints) => requestBudget(day(), [{ endpoints }]).headline;
    assert.equal(headline(node(1_200, 93_800), node(5, null)), "1,205 used today, 93,800 left");
    assert.equal(headline(node(5, null)), "5 used today");
  });

  test("count today from midnight of whoever looks", () => {
    const { now, first } = today();
    assert.deepEqual(completedToday(day({ completed: fill(1) }), now), { value: PLACES - first, note: "" });
  });

  // Unknown was added up as none: after a start the tile and the charts told less than there was, and did not say so.
  test("say since when they are counted where that is not the whole time", () => {
    const { now, first } = today();
    const known = (place) => fill(null).fill(1, place);
    const later = first + 7;
    assert.deepEqual(completedToday(day({ completed: known(later) }), now), { value: PLACES - later, note: `since ${time(SINCE + later * WIDTH)}` });
    assert.deepEqual(completedToday(day({ completed: known(first) }), now), { value: PLACES - first, note: "" }, "what is unknown of yesterday is not of today");
    assert.deepEqual(completedToday(day({ completed: fill(null) }), now), { value: null, note: "" });
    const { headline } = paymentsPerHour(day({ created: known(280), completed: known(280) }));
    assert.equal(headline, `8 created, 8 completed since ${time(SINCE + 280 * WIDTH)}`);
    assert.equal(paymentsPerHour(day({ created: fill(null), completed: fill(null) })).headline, "Not counted yet");
  });

  test("say since when they are measured, which is the hub's start", () => {
    const started_at = SINCE + 200 * WIDTH + 17.5;
    const since = `since ${time(started_at)}`;
    const told = { count: at(287, 4), p50_ms: at(287, 350), p95_ms: at(287, 400) };
    assert.equal(blockToWebhook(day({ started_at })).headline, `No payment has been told of ${since}`);
    assert.equal(blockToWebhook(day({ started_at, block_to_webhook: told })).headline, `Last 350 ms (half), 400 ms (95 of 100); 4 webhooks ${since}`);
    assert.equal(chainLag(day({ started_at })).headline, `At most 0 s behind ${since}`);
    const node = { requests_today: 1_205, requests_left_today: 10 };
    const requests = (begun, now) => requestBudget(day({ started_at: begun }), [{ endpoints: [node] }], new Date(now * 1000)).headline;
    const midnight = Date.UTC(2026, 10, 24) / 1000;
    assert.equal(requests(midnight + 60, midnight + 3_600), `1,205 used today since ${time(midnight + 60)}, 10 left`);
    assert.equal(requests(midnight - 60, midnight + 3_600), "1,205 used today, 10 left", "the budgets' days begin at midnight UTC");
  });

  test("name no duration as another one", () => {
    assert.deepEqual([0, 0.5, 50, 100, 250, 1_200].map(seconds), ["0 s", "0.5 s", "50 s", "100 s", "250 s", "20 min"]);
  });
});

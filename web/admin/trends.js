// What the charts show, out of the answer of /v1/trends. Pure: numbers in, numbers and sentences out.

import { count, span } from "../dom.js";
import { clock } from "./words.js";

const HOUR = 3_600;
const DAY = 86_400;
/** What was measured is shown from its beginning on, but never less than an hour of it. */
const LEAST_PLACES = 12;
const CHAIN_TONES = ["one", "two", "three", "four"];

export const milliseconds = (ms) => (ms >= 10_000 ? `${Math.round(ms / 1000)} s` : ms >= 1_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`);
export const seconds = (s) => (s < 10 && !Number.isInteger(s) ? `${s.toFixed(1)} s` : s < 600 ? `${Math.round(s)} s` : span(s));
export const whole = (n) => (n === 0 || n >= 1 ? count(Math.round(n * 10) / 10) : n.toFixed(1));

const timesOf = ({ since, bucket_seconds: width, created }) => created.map((_, i) => since + i * width);
const sum = (values) => values.reduce((all, value) => all + (value ?? 0), 0);

/** ` since 14:35` where only a part of the time from `begin` on is known. */
const since = (known, begin) => (known > begin ? ` since ${clock(known)}` : "");

/** Since when payments are counted, of these places; null where none is. */
function countedSince({ completed }, times, begin = times[0]) {
  const first = times.findIndex((at, i) => at >= begin && completed[i] !== null);
  return first < 0 ? null : times[first];
}

/** Without the time before anything was measured. */
function measured({ times, width, headline, series }) {
  const first = times.findIndex((_, i) => series.some(({ values }) => values[i] !== null));
  const from = first < 0 ? 0 : Math.max(0, Math.min(first, times.length - LEAST_PLACES));
  return { times: times.slice(from), width, headline, series: series.map((one) => ({ ...one, values: one.values.slice(from) })) };
}

/** Payments by the hour of the clock. */
export function paymentsPerHour(trends) {
  const times = timesOf(trends);
  const first = Math.floor(times[0] / HOUR) * HOUR;
  const hours = Math.floor((times.at(-1) - first) / HOUR) + 1;
  const perHour = (values) => {
    const totals = new Array(hours).fill(null);
    values.forEach((value, i) => {
      const hour = Math.floor((times[i] - first) / HOUR);
      if (value !== null) totals[hour] = (totals[hour] ?? 0) + value;
    });
    return totals;
  };
  const { created, completed } = trends;
  const counted = countedSince(trends, times);
  return {
    times: Array.from({ length: hours }, (_, i) => first + i * HOUR), width: HOUR,
    headline: counted === null ? "Not counted yet" : `${count(sum(created))} created, ${count(sum(completed))} completed${since(counted, times[0])}`,
    series: [{ name: "created", tone: "soft", values: perHour(created) }, { name: "completed", tone: "one", values: perHour(completed) }],
  };
}

export function blockToWebhook(trends) {
  const { count: counts, p50_ms: p50, p95_ms: p95 } = trends.block_to_webhook;
  const sent = sum(counts);
  const last = p50.findLastIndex((value) => value !== null);
  const measuring = since(trends.started_at, trends.since);
  const headline = last < 0 ? `No payment has been told of${measuring || " yet"}`
    : `Last ${milliseconds(p50[last])} (half), ${milliseconds(p95[last])} (95 of 100); ${count(sent)} webhooks${measuring}`;
  return measured({
    times: timesOf(trends), width: trends.bucket_seconds, headline,
    series: [{ name: "p50", tone: "one", values: p50 }, { name: "p95", tone: "two", values: p95 }],
  });
}

export function chainLag(trends) {
  const worst = Math.max(0, ...trends.chains.flatMap(({ lag_seconds: lag }) => lag.map((value) => value ?? 0)));
  return measured({
    times: timesOf(trends), width: trends.bucket_seconds, headline: `At most ${seconds(worst)} behind${since(trends.started_at, trends.since)}`,
    series: trends.chains.map(({ name, lag_seconds: values }, i) => ({ name, tone: CHAIN_TONES[i % CHAIN_TONES.length], values })),
  });
}

/** `chains` of /stats know what is left of today's budgets, which are days of UTC. The hub counts from its start on. */
export function requestBudget(trends, chains, now = new Date()) {
  const nodes = chains.flatMap(({ endpoints }) => endpoints);
  const used = sum(nodes.map((node) => node.requests_today));
  const limited = nodes.filter((node) => node.requests_left_today !== null);
  const day = Math.floor(now.getTime() / 1000 / DAY) * DAY;
  const left = limited.length ? `, ${count(sum(limited.map((node) => node.requests_left_today)))} left` : "";
  return measured({
    times: timesOf(trends), width: trends.bucket_seconds, headline: `${count(used)} used today${since(trends.started_at, day)}${left}`,
    series: trends.chains.map(({ name, requests: values }, i) => ({ name: `${name}, each 5 min`, tone: CHAIN_TONES[i % CHAIN_TONES.length], values })),
  });
}

/**
 * Since midnight of whoever looks; the log of trends reaches back for a day. `note` says since when where that is later: after a
 * start, until the hub has read its log back, or where the log is too long for that. `value` is null where nothing is known yet.
 */
export function completedToday(trends, now = new Date()) {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime() / 1000;
  const times = timesOf(trends);
  const begin = times.find((at) => at >= midnight) ?? midnight;
  const counted = countedSince(trends, times, begin);
  if (counted === null) return { value: null, note: "" };
  return { value: sum(trends.completed.filter((_, i) => times[i] >= begin)), note: since(counted, begin).trim() };
}

// The chains that the hub follows: how far it has read, and how its nodes are.

import { count, el, span } from "../dom.js";
import { ago, badge, facts, head, nothing, table } from "./parts.js";
import { View } from "./view.js";

export class ChainsView extends View {
  title = "Chains";
  loaded = true;

  hub() {
    this.draw();
  }

  /** Asking again is the hub state's business. */
  async load() {
    if (!this.app.hub?.stats) this.app.hub?.nudge();
  }

  heads() {
    return [head("Chains", { under: "How far each chain has been read, and how its nodes are." })];
  }

  parts() {
    const stats = this.app.hub?.stats;
    if (!stats) return [nothing("Waiting for the hub's first answer …")];
    return [...stats.chains.map((chain) => this.#chain(chain)), wallets(stats.wallets)];
  }

  #chain(chain) {
    const { name, head, tip, final, lag_seconds: lag, blocks_behind: behind, idle, catch_up: gap } = chain;
    return el("section", { class: "card", "aria-label": name, "data-key": name },
      el("h2", {}, name, " ", badge(behind > 20 ? "behind" : idle ? "idle" : "following")),
      el("dl", { class: "tiles" },
        tile("Head", count(head)), tile("Read up to", count(tip), behind ? `${count(behind)} behind` : "up to date"),
        tile("Final", count(final), Number.isFinite(tip - final) && final ? `${count(tip - final)} below` : idle ? "asked for when needed" : ""),
        tile("Newest block", Number.isFinite(lag) ? span(lag) : "–", "old")),
      gap ? catchUp(gap) : null,
      idle ? el("p", { class: "hint" }, "Nothing is watched, so the chain is asked for its head once a minute.") : null,
      facts(["Last answer", chain.last_success_at && ago(chain.last_success_at)],
        ["Last error", chain.last_error && [el("code", {}, chain.last_error), " ", ago(chain.last_error_at)]]),
      el("h3", {}, "Nodes"), nodes(name, chain.endpoints));
  }
}

function catchUp({ blocks_done: done, blocks_left: left, seconds_left: seconds, started_at }) {
  return el("div", { class: "notice" },
    el("p", {}, "Catching up since ", ago(started_at), `: ${count(left)} blocks to go${Number.isFinite(seconds) ? `, about ${span(seconds)}` : ""}.`),
    el("progress", { max: Math.max(1, done + left), value: done, "aria-label": "Blocks caught up" }));
}

function nodes(chain, endpoints) {
  const columns = [
    ["Node", (n) => n.name, "wide"],
    ["State", (n) => badge(n.healthy ? "healthy" : "failing")],
    ["Requests today", (n) => count(n.requests_today), "number"],
    ["Left today", (n) => (n.requests_left_today === null ? "no limit" : count(n.requests_left_today)), "number"],
    ["Suspended until", (n) => (n.suspended_until ? ago(n.suspended_until) : "–")],
    ["Last error", (n) => n.last_error ?? "–", "said"],
  ];
  return table(`Nodes of ${chain}, in order of preference`, columns, endpoints.map((row) => ({ key: row.name, row })));
}

function wallets(list) {
  if (!list?.length) return null;
  const columns = [["Wallet", (w) => w.name, "wide"], ["Chain", (w) => w.chain], ["Next index", (w) => count(w.next_index), "number"]];
  return el("section", { class: "card", "aria-label": "Watch-only wallets" }, el("h2", {}, "Watch-only wallets"),
    table("Watch-only wallets", columns, list.map((row) => ({ key: row.name, row }))));
}

export const tile = (name, value, note, tone = "") => el("div", { "data-key": `tile ${name}`, class: tone || null },
  el("dt", {}, name), el("dd", {}, value, note ? el("span", { class: "note" }, note) : null));

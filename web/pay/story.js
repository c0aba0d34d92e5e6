// What a payment and its events mean for the one who pays. Pure: facts in, what to say out; the words are elsewhere.

import { compare, isShareBelow, isZero, minus } from "./money.js";

const ENDED = new Set(["underpaid", "expired", "astray", "cancelled"]);
/** Money that fits nothing and is less than one of so many shares of what was asked for is nobody's try to pay. */
const DUST_SHARES = 100n;
const UNCOUNTED = {
  "payment.mismatched": () => "mismatched",
  "payment.late": () => "late",
  "transfer.unmatched": ({ transfer }) => ({ extra: "extra", cancelled: "after_cancel", late: "late" })[transfer.reason] ?? "uncounted",
};

/**
 * `events`: all of the payment's, oldest first. `secondsLeft`: until the deadline by the chain's time, null if unknown.
 *
 * `state`: waiting, partial, reverted, stray, uncounted, time_up, confirming, paid, underpaid, expired, astray (expired, and
 * the money lies with the shop), cancelled.
 * `due`: what is still to be sent, null where nothing should be. `guarded`: sending more may well be a mistake.
 */
export function tell(payment, events, secondsLeft) {
  const { received_amount: received, amount_to_pay: asked } = payment;
  const strays = uncounted(payment, events);
  const state = stateOf(payment, strays, secondsLeft);
  const guarded = state === "reverted" || state === "stray" || state === "uncounted";
  const waits = guarded || state === "waiting" || state === "partial";
  return {
    state,
    guarded,
    received: isZero(received) ? null : received,
    missing: minus(asked, received),
    due: waits ? minus(asked, received) : null,
    step: stepOf(state, received),
    notices: notices(payment, events, strays, state),
  };
}

function stateOf(payment, strays, secondsLeft) {
  const tries = strays.filter(({ transfer }) => !isShareBelow(transfer.amount, payment.amount_to_pay, DUST_SHARES));
  const tried = (kind) => tries.some((stray) => stray.kind === kind);
  if (payment.status === "completed") return "paid";
  if (payment.status === "expired" && (tried("mismatched") || tried("uncounted"))) return "astray";
  if (payment.status !== "pending") return payment.status;
  if (secondsLeft === 0) return "time_up";
  if (replaced(payment).length > 0) return "reverted";
  if (tried("mismatched")) return "stray";
  if (tried("uncounted")) return "uncounted";
  return isZero(payment.received_amount) ? "waiting" : "partial";
}

/** How many of the four steps are behind: sent, seen, confirmed, paid. */
function stepOf(state, received) {
  if (state === "paid") return 4;
  if (state === "confirming") return 2;
  return ENDED.has(state) && !isZero(received) ? 2 : 0;
}

function notices(payment, events, strays, state) {
  const found = strays.map(({ kind, transfer }) => ({ kind, ...named(transfer) }));
  for (const { transfer } of last(events.filter(({ type }) => type === "transfer.assigned"), ({ transfer }) => transfer.id)) {
    if (lives(payment, transfer)) found.push({ kind: "assigned", ...named(transfer) });
  }
  if (state !== "reverted" && state !== "paid" && state !== "confirming") {
    for (const transfer of replaced(payment)) found.push({ kind: "replaced", ...named(transfer) });
  }
  const { received_amount: received, amount_to_pay: asked } = payment;
  if (state === "paid" && events.some(({ type }) => type === "payment.overpaid") && compare(received, asked) > 0) {
    found.push({ kind: "overpaid", amount: minus(received, asked), transaction: null });
  }
  return found;
}

/** Transfers that came and settle nothing, each once; not those that were assigned to this payment afterwards. */
function uncounted(payment, events) {
  const told = events.filter(({ type, transfer }) => transfer && type in UNCOUNTED);
  const each = last(told, ({ transfer }) => transfer.id);
  const still = each.filter(({ transfer }) => !lives(payment, transfer));
  return still.map((event) => ({ kind: UNCOUNTED[event.type](event), transfer: event.transfer }));
}

/** Transfers whose block was replaced and that have not come back in another. */
function replaced({ transfers }) {
  const live = new Set(transfers.filter(({ state }) => state !== "reverted").map(({ transaction_hash }) => transaction_hash));
  const gone = transfers.filter(({ state, transaction_hash }) => state === "reverted" && !live.has(transaction_hash));
  return last(gone, ({ transaction_hash }) => transaction_hash);
}

const lives = ({ transfers }, { transaction_hash, log_index }) =>
  transfers.some((t) => t.state !== "reverted" && t.transaction_hash === transaction_hash && t.log_index === log_index);

const named = ({ amount, transaction_hash }) => ({ amount, transaction: transaction_hash });

/** The last of each kind, in the order in which the kinds first came. */
function last(items, kindOf) {
  return [...new Map(items.map((item) => [kindOf(item), item])).values()];
}

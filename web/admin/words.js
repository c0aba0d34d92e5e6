// The words of the dashboard for the words of the API. An unknown one simply shows itself.

export const STATUSES = ["pending", "confirming", "completed", "underpaid", "expired", "cancelled"];
export const EVENT_TYPES = [
  "payment.created", "payment.detected", "payment.completed", "payment.reverted", "payment.underpaid", "payment.overpaid",
  "payment.mismatched", "payment.late", "payment.expired", "payment.cancelled", "transfer.unmatched", "transfer.assigned",
  "endpoint.disabled", "endpoint.test",
];

const REASONS = {
  wrong_amount: "not the amount asked for",
  late: "came after the deadline",
  extra: "the payment was already paid",
  cancelled: "the payment was cancelled",
  early: "older than the payment",
  too_many: "the payment has too many transfers",
};
export const reason = (word) => REASONS[word] ?? word ?? "";

const GIVEN_UP = {
  attempts_used_up: "every attempt failed",
  gone: "the receiver answered 410: gone",
  endpoint_disabled: "its endpoint was disabled",
  endpoint_deleted: "its endpoint was deleted",
};
export const givenUp = (word) => GIVEN_UP[word] ?? word ?? "";

const DISABLED = { gone: "it answered 410: gone", failing: "nothing reached it for five days", by_hand: "by hand" };
export const disabledBecause = (word) => DISABLED[word] ?? word ?? "";

export const SCOPES = {
  read: "looks at everything, changes nothing",
  write: "also creates and cancels payments",
  admin: "also endpoints, transfers, redelivery and keys",
};

export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

/** What an event means, in a few words. */
export function sentence(event) {
  const sent = event.transfer ? `${event.transfer.amount} USDT` : "a transfer";
  const got = event.received_amount ? `${event.received_amount} USDT` : sent;
  return {
    "payment.created": `waiting for ${event.amount_to_pay} USDT`,
    "payment.detected": `${got} seen in a block`,
    "payment.completed": `${got}, final`,
    "payment.reverted": "its block was replaced; waiting again",
    "payment.underpaid": `${got} of ${event.amount_to_pay} arrived in time`,
    "payment.overpaid": `${got} is more than asked`,
    "payment.mismatched": `${sent} is not the amount asked for`,
    "payment.late": `${sent} after the deadline`,
    "payment.expired": "not paid in time",
    "payment.cancelled": "cancelled by the merchant",
    "transfer.unmatched": `${sent} settles nothing`,
    "transfer.assigned": `${sent} assigned by hand`,
    "endpoint.disabled": event.endpoint ? `${event.endpoint.url}: ${disabledBecause(event.endpoint.reason)}` : "",
    "endpoint.test": event.endpoint?.url ?? "",
  }[event.type] ?? "";
}

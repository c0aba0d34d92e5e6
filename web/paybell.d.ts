/**
 * Watches one payment of a paybell hub, live, from a checkout page.
 *
 * `onUpdate` is called with the payment's newest state: first as a snapshot, then once for each event, in order, and
 * once for each step of its confirmations. After a lost connection the watch comes back by itself and goes on after the
 * last event it saw; where the hub can no longer tell what was missed, a new snapshot comes instead.
 *
 * The watch goes on after the payment is completed, expired or cancelled, because a fork can take a completion back and
 * money can come late. `close()` ends it; so does leaving the page.
 *
 * @throws TypeError when `id`, `onUpdate` or `url` cannot be used.
 */
export function watchPayment(options: WatchOptions): Watch;

export interface WatchOptions {
  /** `payment_id` from the answer to the creation. */
  id: string;
  /** `client_token` from the same answer. A hub without API keys, on loopback, needs none. */
  token?: string;
  /** Called after every change. What it throws is reported (`reportError`) and does not end the watch. */
  onUpdate: (update: Update) => void;
  /** Called when the connection comes, goes, or ends for good. */
  onConnection?: (connection: Connection) => void;
  /** Where the hub is: `https://pay.example`. Without it, where this module was loaded from. */
  url?: string;
  /** Ends the watch as `close()` does. */
  signal?: AbortSignal;
}

export interface Watch {
  /** Ends the watch; nothing is called any more. */
  close(): void;
}

export type Update =
  /** How the payment stands; at the start, and when what was missed cannot be told one by one. */
  | { kind: "snapshot"; payment: Payment }
  /** Something happened to it. */
  | { kind: "event"; payment: Payment; event: PaymentEvent }
  /** A block was built on the one that pays it. */
  | { kind: "progress"; payment: Payment; progress: Progress };

export type Connection =
  | { state: "connecting" }
  /** `sse` (server-sent events) where no WebSocket gets through; a WebSocket is tried again now and then. */
  | { state: "live"; transport: "websocket" | "sse" }
  /** Lost; the next try comes after this time, or as soon as the network is back. */
  | { state: "waiting"; retryInMs: number }
  /** The hub refuses, and the watch is over. `code`: `unauthorized`, `forbidden`, `not_found`, `gone`, `bad_request`, `limit`, or another. */
  | { state: "ended"; code: string; reason: string };

export interface Progress {
  confirmations: number;
  required: number;
}

export type Status = "pending" | "confirming" | "completed" | "underpaid" | "expired" | "cancelled";

/**
 * A payment as `GET /v1/payments/{id}` shows it. Between snapshots it is kept up to date by what events tell: `status`,
 * the received amounts, `transaction_hash`, `completed_at`, `confirmations` and `transfers`. No event says when the one
 * transfer or the other becomes final, so after an event `transfers[].state` turns `confirmed` with the completion.
 * Each update carries a new object.
 */
export interface Payment {
  payment_id: string;
  order_id: string;
  wallet_address: string;
  chain: string;
  currency: string;
  status: Status;
  /** Exact decimal, as are the other amounts that are strings: show `amount_to_pay` to the payer. */
  amount_to_pay: string;
  expected_amount: string;
  received_amount: string;
  expected_amount_usdt: number;
  received_amount_usdt: number | null;
  transaction_hash: string | null;
  /** Unix seconds, as are the other times. */
  created_at: number;
  expires_at: number;
  completed_at: number | null;
  /** Of the newest block that the hub has processed, which decides what is in time; null before the first. As the last snapshot told it. */
  chain_time: number | null;
  confirmations: number;
  confirmations_required: number;
  finality: "final" | number;
  match: "exact" | "accumulate";
  amount_mode: "fixed" | "unique";
  /** Base units. */
  tolerance: string;
  transfers: Transfer[];
  /** Not shown to payers. */
  wallet: string | null;
  /** Not shown to payers. */
  derivation_path: string | null;
  success_url: string | null;
  /** JSON as given at the creation; `{}` where none was. Not shown to payers, nor on a payment's own channel. */
  metadata?: unknown;
}

export interface Transfer {
  transaction_hash: string;
  log_index: number;
  from: string;
  amount: string;
  block_number: number;
  /** Unix milliseconds, as the chain gives it. */
  block_timestamp: number;
  state: "seen" | "confirmed" | "reverted";
  settled_by: "match" | "hand";
}

export type EventType =
  | "payment.created"
  | "payment.detected"
  | "payment.completed"
  | "payment.reverted"
  | "payment.underpaid"
  | "payment.overpaid"
  | "payment.mismatched"
  | "payment.late"
  | "payment.expired"
  | "payment.cancelled"
  | "transfer.unmatched"
  | "transfer.assigned";

/** The same object as the webhook's body. */
export interface PaymentEvent {
  type: EventType;
  /** The `webhook-id`. */
  id: string;
  /** Its number in the hub's event log. */
  sequence: number;
  /** RFC 3339. */
  timestamp: string;
  payment_id: string;
  order_id: string;
  wallet_address: string;
  chain: string;
  currency: string;
  expected_amount_usdt: number;
  received_amount_usdt: number | null;
  transaction_hash: string | null;
  block_timestamp: number | null;
  confirmations: number;
  status: Status;
  /** JSON as given at the creation; `{}` where none was. Not shown to payers, nor on a payment's own channel. */
  metadata?: unknown;
  expected_amount: string;
  received_amount: string;
  amount_to_pay: string;
  /** The transfer that caused it, where one did. */
  transfer: EventTransfer | null;
}

export interface EventTransfer {
  id: string;
  transaction_hash: string;
  log_index: number;
  from: string;
  to: string;
  amount: string;
  block_number: number;
  block_timestamp: number;
  state: "seen" | "confirmed" | "reverted" | "unmatched";
  /** Why it settled nothing. */
  reason: string | null;
  assigned: Assignment | null;
}

/** A merchant's decision that a transfer pays for this payment. */
export interface Assignment {
  payment_id: string;
  at: number;
  by: string | null;
  reason: string;
  meant_for: string | null;
}

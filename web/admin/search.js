// One box for whatever an operator has at hand: its form tells what it is.

import * as calls from "./calls.js";

const PAYMENT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const ADDRESS = /^T[1-9A-HJ-NP-Za-km-z]{33}$/;
const HASH = /^(0x)?[0-9a-f]{64}$/i;

/** A page of the payments that fit a text, of any kind where it is empty. */
export async function searched(text, page) {
  if (PAYMENT_ID.test(text)) return byId(text, page.status);
  if (ADDRESS.test(text)) return calls.payments({ ...page, wallet_address: text });
  if (HASH.test(text)) return calls.payments({ ...page, transaction_hash: text });
  return calls.payments({ ...page, order_id: text });
}

async function byId(id, status) {
  try {
    const payment = await calls.payment(id.toLowerCase());
    return { data: !status || payment.status === status ? [payment] : [], next: null };
  } catch (error) {
    if (error.status === 404) return { data: [], next: null };
    throw error;
  }
}

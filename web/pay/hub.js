// The hub's HTTP interface as a payer may use it: one payment, its events, its QR code.

const TIMEOUT_MS = 10_000;
const EVENTS_A_PAGE = 100;
const PAGES_MAX = 50;
const ROOT = new URL("../../", import.meta.url);

/** `token` opens the payment; "" on a hub that asks for none. `onTime` is told the hub's own time, in unix seconds. */
export function payerOf(id, token, onTime) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const ask = async (path) => {
    const address = new URL(`v1/payments/${encodeURIComponent(id)}${path}`, ROOT);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), TIMEOUT_MS);
    const answer = await fetch(address, { headers, cache: "no-store", credentials: "omit", signal: stop.signal });
    onTime(Date.parse(answer.headers.get("date")) / 1000);
    if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
    return answer;
  };
  return {
    payment: async () => (await ask("")).json(),
    /** All events so far, oldest first, page by page. */
    async *events() {
      let after = "";
      for (let page = 0; page < PAGES_MAX; page++) {
        const { data, next } = await (await ask(`/events?limit=${EVENTS_A_PAGE}${after && `&after=${after}`}`)).json();
        yield data;
        if (!next) return;
        after = next;
      }
    },
    /** As a data: address, because an <img> cannot send a token. */
    qr: async () => `data:image/svg+xml,${encodeURIComponent(await (await ask("/qr.svg")).text())}`,
  };
}

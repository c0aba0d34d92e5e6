// What a shop in TypeScript writes, and what its compiler must refuse.

import { watchPayment, type Connection, type Payment, type Update } from "../../../web/paybell.js";

const stop = new AbortController();

const watch = watchPayment({
  id: "0199",
  token: "eyJ",
  url: "https://pay.example",
  signal: stop.signal,
  onUpdate(update) {
    const amount: string = update.payment.amount_to_pay;
    if (update.kind === "event") console.log(update.event.type, update.event.transfer?.amount, amount);
    else if (update.kind === "progress") console.log(update.progress.confirmations / update.progress.required);
    else update.kind satisfies "snapshot";
  },
  onConnection(connection) {
    console.log(words(connection));
  },
});
watch.close();

function words(connection: Connection): string {
  switch (connection.state) {
    case "connecting": return "";
    case "live": return connection.transport;
    case "waiting": return `${connection.retryInMs.toFixed()} ms`;
    case "ended": return `${connection.code}: ${connection.reason}`;
  }
}

const isOver = ({ status }: Payment) => status === "expired" || status === "cancelled";
watchPayment({ id: "0199", onUpdate: ({ payment }: Update) => isOver(payment) });

// @ts-expect-error onUpdate is needed
watchPayment({ id: "0199" });
// @ts-expect-error an id is a string
watchPayment({ id: 199, onUpdate() {} });
// @ts-expect-error a misspelt option is noticed
watchPayment({ id: "0199", onUpdate() {}, onConnect() {} });
// @ts-expect-error an event comes with kind "event" only
watchPayment({ id: "0199", onUpdate: (update) => console.log(update.event) });
// @ts-expect-error there is no such status
watchPayment({ id: "0199", onUpdate: ({ payment }) => payment.status === "paid" });

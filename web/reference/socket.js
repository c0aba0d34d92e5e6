// The socket's protocol, and the streams that say the same over HTTP: every message with an example of its frame.

import { el } from "../dom.js";
import { wrappedBlock } from "./code.js";
import { inline, prose } from "./prose.js";
import { fieldList } from "./schema.js";

export function socketSections(documents) {
  const { info, channels, operations } = documents.root;
  const talk = Object.entries(operations).filter(([, { channel }]) => channel.$ref === "#/channels/socket");
  const socket = el("section", { class: "topic", "aria-labelledby": "socket" },
    el("h2", { id: "socket" }, "The socket"),
    el("div", { class: "about" }, ...prose(info.description)),
    ...talk.map(([name, operation]) => conversation(name, operation, documents)),
    endings(channels.socket));
  const streams = el("section", { class: "topic", "aria-labelledby": "streams" },
    el("h2", { id: "streams" }, "Records of the streams"),
    el("div", { class: "about" }, el("p", {}, "Server-sent events: what the `event` of a record says, and what its `data` holds.".replaceAll("`", ""))),
    ...["streamHello", "streamReset", "streamSnapshot", "streamEvent", "streamProgress", "streamError"].map((name) => record(name, documents)));
  return [socket, streams];
}

/** Commands are sent by the client; `receive` is the hub's point of view. */
function conversation(name, operation, documents) {
  const id = `socket-${name}`;
  const own = operation.messages.map((one) => documents.resolve(one));
  const replies = (operation.reply?.messages ?? []).map((one) => documents.resolve(one));
  const arrows = operation.action === "receive" ? ["→", "←"] : ["←", "→"];
  return el("article", { class: "operation", id, "aria-labelledby": `${id}-title`, "data-search": searchText(name, operation, [...own, ...replies]) },
    el("div", { class: "said" },
      el("h3", { id: `${id}-title` }, el("a", { href: `#${id}`, class: "anchor" }, operation.title)),
      ...own.flatMap((message) => described(message, arrows[0], documents)),
      ...replies.flatMap((message) => described(message, arrows[1], documents))),
    el("div", { class: "tried" }, wrappedBlock("Frames", frames(own, replies, arrows), `the frames of ${operation.title}`)));
}

function described(message, arrow, documents) {
  const says = arrow === "→" ? "you" : "hub";
  return [
    el("h4", { class: "frame" }, el("span", { class: `method ${says}` }, says === "you" ? "YOU" : "HUB"), " ", message.title),
    el("p", {}, ...inline(message.summary)),
    ...prose(message.description),
    ...(Object.keys(message.payload.properties ?? {}).length > 0 ? [fieldList(message.payload, documents)] : []),
  ];
}

function frames(own, replies, [there, back]) {
  const lines = (messages, arrow) => messages.flatMap((message) => message.examples.map(({ payload }) => `${arrow} ${shortened(payload)}`));
  return [...lines(own, there), ...lines(replies, back)].join("\n");
}

/** Whole objects are shown where they belong; here they would hide the frame. */
function shortened(payload) {
  const text = JSON.stringify(payload, (key, value) => (["event", "snapshot"].includes(key) ? "{…}" : key === "events" ? ["{…}"] : value));
  return text.replaceAll('"{…}"', "{…}");
}

function endings(channel) {
  const rows = channel["x-close-codes"].map(({ code, comeBack, description }) =>
    el("tr", {}, el("td", {}, el("code", {}, String(code))), el("td", {}, comeBack ? "come back" : "do not"), el("td", {}, ...inline(description))));
  const refusals = channel["x-handshake-refusals"].map(({ code, status, description }) =>
    el("tr", {}, el("td", {}, String(status)), el("td", {}, breakable(code)), el("td", {}, ...inline(description))));
  return el("article", { class: "operation", id: "socket-endings", "data-search": "close codes handshake refused socket 4001 4008 4012 4013 4500 4501 4504" },
    el("div", { class: "said" },
      el("h3", {}, el("a", { href: "#socket-endings", class: "anchor" }, "How it ends")),
      el("h4", {}, "Close codes"), table(["Code", "Then", "Why"], rows),
      el("h4", {}, "Handshakes that are refused"), table(["Status", "Code", "What to do"], refusals)));
}

/** A code that may break at its underscores. */
export const breakable = (code) => el("code", {}, ...code.split(/(?<=_)/).flatMap((part) => [part, el("wbr")]));

export function table(heads, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": heads.join(", ") },
    el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, ...rows)));
}

function record(name, documents) {
  const message = documents.resolve({ $ref: `#/components/messages/${name}` });
  const id = `record-${name}`;
  return el("article", { class: "operation brief", id, "aria-labelledby": `${id}-title`, "data-search": `stream sse record ${message.title} ${message.summary}`.toLowerCase() },
    el("div", { class: "said" },
      el("h3", { id: `${id}-title` }, el("a", { href: `#${id}`, class: "anchor" }, message.title)),
      el("p", {}, ...inline(message.summary))),
    el("div", { class: "tried" }, wrappedBlock("Record", `event: ${name === "streamEvent" ? message.examples[0].payload.type : message.title}\ndata: ${shortened(message.examples[0].payload)}`, `a record: ${message.title}`)));
}

function searchText(name, operation, messages) {
  return ["socket ws", name, operation.title, ...messages.map(({ title, summary }) => `${title} ${summary}`)].join(" ").toLowerCase();
}

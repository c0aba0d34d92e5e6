// What receivers get: one article a type of event. What is true of all of them is said once.

import { el } from "../dom.js";
import { codeBlock, json } from "./code.js";
import { inline, prose } from "./prose.js";
import { fieldList, fieldRow } from "./schema.js";

export function webhookSection(documents) {
  const hooks = Object.entries(documents.root.webhooks).map(([type, { post }]) => ({ type, post }));
  const paragraphs = hooks.map(({ post }) => post.description.split("\n\n"));
  const common = paragraphs[0].filter((text) => paragraphs.every((others) => others.includes(text)));
  return el("section", { class: "topic", "aria-labelledby": "webhooks" },
    el("h2", { id: "webhooks" }, "Webhooks"),
    el("div", { class: "about" }, ...common.flatMap(prose)),
    anatomy(hooks[0].post, documents),
    ...hooks.map(({ type, post }) => article(type, post, common)));
}

/** Headers, body and answers, which all webhooks share. */
function anatomy(post, documents) {
  const headers = post.parameters.map(({ name, schema, required, description }) => fieldRow(name, schema, required, documents, description));
  const answers = Object.entries(post.responses).map(([status, { description }]) =>
    el("li", { class: "field" }, el("p", { class: "head" }, el("code", { class: "name" }, status)), el("p", { class: "text" }, ...inline(description))));
  return el("article", { class: "operation", id: "webhook-request", "data-search": "webhook request headers signature retries answers" },
    el("div", { class: "said" },
      el("h3", {}, el("a", { href: "#webhook-request", class: "anchor" }, "The request")),
      el("h4", {}, "Headers"), el("ul", { class: "fields" }, ...headers),
      el("h4", {}, "Body"), fieldList({ $ref: "#/components/schemas/Event" }, documents),
      el("h4", {}, "Your answer"), el("ul", { class: "fields" }, ...answers)));
}

function article(type, post, common) {
  const id = `event-${type.replace(".", "-")}`;
  const own = post.description.split("\n\n").filter((text) => !common.includes(text));
  const { example } = post.requestBody.content["application/json"];
  return el("article", { class: "operation brief", id, "aria-labelledby": `${id}-title`, "data-search": `webhook event ${type} ${post.summary}`.toLowerCase() },
    el("div", { class: "said" },
      el("h3", { id: `${id}-title` }, el("a", { href: `#${id}`, class: "anchor" }, post.summary)),
      el("p", { class: "route" }, el("span", { class: "method event" }, "EVENT"), " ", el("code", {}, type)),
      ...own.flatMap(prose)),
    el("div", { class: "tried" }, opening("Its body", () => codeBlock("Body", json(example), `the body of ${type}`))));
}

/** An example that opens on demand. */
function opening(title, make) {
  const box = el("details", { class: "deeper" }, el("summary", {}, title));
  box.addEventListener("toggle", () => {
    if (box.open && box.children.length === 1) box.append(make());
  });
  return box;
}

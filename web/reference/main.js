// The reference page: reads the hub's two documents and lays them out as sections, with contents and a filter beside them.

import { $, el, setText } from "../dom.js";
import { Contents } from "./contents.js";
import { Documents } from "./documents.js";
import { errorsSection } from "./errors.js";
import { operationArticle } from "./operation.js";
import { prose } from "./prose.js";
import { socketSections } from "./socket.js";
import { webhookSection } from "./webhooks.js";

const DOCUMENTS = ["/openapi.json", "/asyncapi.json"];

start().catch((error) => {
  const text = `The reference could not be shown: ${error.message}. Reload the page to try again.`;
  $("reference").replaceChildren(el("p", { class: "loading", role: "alert" }, text));
  $("reference").removeAttribute("aria-busy");
  throw error;
});

async function start() {
  const [openapi, asyncapi] = await Promise.all(DOCUMENTS.map(load));
  const documents = new Documents(openapi);
  const sections = [
    introduction(openapi),
    ...openapi.tags.map((tag) => topic(tag, documents)),
    webhookSection(documents),
    ...socketSections(new Documents(asyncapi)),
    errorsSection(documents),
  ];
  $("reference").replaceChildren(...sections);
  $("reference").removeAttribute("aria-busy");
  setText($("version"), `Version ${openapi.info.version}`);
  $("version").hidden = false;
  new Contents(sections);
  goToHash();
}

async function load(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} was answered with ${response.status}`);
  return response.json();
}

function introduction({ info }) {
  const title = el("h2", { id: "start" }, "Before you start");
  return el("section", { class: "topic", "aria-labelledby": "start" }, title, el("div", { class: "about columns-of-text" }, ...prose(info.description)));
}

function topic({ name, description }, documents) {
  const id = `topic-${name.toLowerCase()}`;
  const operations = documents.operations().filter(({ operation }) => operation.tags.includes(name));
  return el("section", { class: "topic", "aria-labelledby": id },
    el("h2", { id }, name),
    el("div", { class: "about" }, ...prose(description)),
    ...operations.map((one) => operationArticle(one, documents)));
}

/** The page was empty when the browser looked for the place that its address names. */
function goToHash() {
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

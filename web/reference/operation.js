// One operation: what it does, who may, what goes in, what comes out, and how to try it.

import { el } from "../dom.js";
import { codeBlock, json } from "./code.js";
import { curl } from "./curl.js";
import { inline, prose } from "./prose.js";
import { fieldList, fieldRow } from "./schema.js";

export function operationArticle({ path, method, operation }, documents) {
  const id = operation.operationId;
  return el("article", { class: "operation", id, "aria-labelledby": `${id}-title`, "data-search": searchText(path, method, operation) },
    el("div", { class: "said" },
      el("h3", { id: `${id}-title` }, el("a", { href: `#${id}`, class: "anchor" }, operation.summary)),
      route(method, path),
      needs(operation),
      ...prose(operation.description),
      ...parameters(operation, documents),
      ...requestBody(operation, documents),
      heading("Answers"),
      ...Object.entries(operation.responses).map(([status, response]) => answer(status, response, documents))),
    el("div", { class: "tried" }, ...examples(path, method, operation, documents)));
}

const heading = (text) => el("h4", {}, text);

export const methodBadge = (method) => el("span", { class: `method ${method}` }, method.toUpperCase());

/** Pieces of the path may break at its slashes. */
function route(method, path) {
  const parts = path.split(/(?=\/)/).flatMap((part) => [part, el("wbr")]);
  return el("p", { class: "route" }, methodBadge(method), " ", el("code", {}, ...parts));
}

function needs({ security }) {
  if (security.length === 0) return el("p", { class: "needs" }, "Open to all.");
  const scope = security.find((way) => way.apiKey)?.apiKey[0];
  const payer = security.some((way) => way.clientToken);
  return el("p", { class: "needs" }, "Needs ", el("strong", {}, scope), payer ? ", or the payment's client token." : ".");
}

function parameters(operation, documents) {
  const all = (operation.parameters ?? []).map((one) => documents.resolve(one));
  const places = [["path", "Path"], ["query", "Query"], ["header", "Headers"]];
  return places.flatMap(([place, title]) => {
    const here = all.filter((one) => one.in === place);
    if (here.length === 0) return [];
    const rows = here.map(({ name, schema, required, description }) => fieldRow(name, schema, required === true, documents, description));
    return [heading(title), el("ul", { class: "fields" }, ...rows)];
  });
}

function requestBody({ requestBody: body }, documents) {
  if (!body) return [];
  const schema = body.content["application/json"].schema;
  const words = [documents.whole(schema).description, body.description].filter(Boolean).join(" ");
  return [heading("Body"), el("p", { class: "note" }, ...inline(words)), fieldList(schema, documents)];
}

/** Errors are told by their codes; what is in a success opens on demand. */
function answer(status, reference, documents) {
  const response = documents.resolve(reference);
  const [type, content] = Object.entries(response.content ?? {})[0] ?? [];
  const headers = Object.keys(response.headers ?? {});
  const isError = Number(status) >= 400;
  const box = el("details", { class: `answer ${isError ? "error" : "success"}`, "data-status": status },
    el("summary", {}, el("span", { class: "status" }, status), " ", el("span", { class: "gist" }, ...gist(response, isError))));
  box.addEventListener("toggle", () => {
    if (!box.open || box.children.length > 1) return;
    if (isError) box.append(...prose(response.description));
    if (headers.length > 0) box.append(el("p", { class: "note" }, "Headers: ", ...headers.flatMap((name) => [el("code", {}, name), " "])));
    if (content && !isError) box.append(el("p", { class: "note" }, el("code", {}, type)), fieldList(content.schema, documents));
  });
  return box;
}

function gist(response, isError) {
  const codes = isError ? [...response.description.matchAll(/^- `([^`]+)`/gm)].map(([, code]) => code) : [];
  if (codes.length === 0) return inline(response.description);
  return codes.flatMap((code) => [el("code", {}, code), " "]);
}

function examples(path, method, operation, documents) {
  const blocks = [];
  const content = operation.requestBody?.content["application/json"];
  const bodies = content?.examples ? Object.values(content.examples) : content ? [{ value: content.example }] : [null];
  for (const body of bodies) {
    const title = body?.summary ?? "Request";
    blocks.push(codeBlock(title, curl(path, method, operation, body?.value, documents), `the request: ${operation.summary}`));
  }
  const [status, response] = Object.entries(operation.responses).find(([code]) => code.startsWith("2")) ?? [];
  for (const shown of Object.values(documents.resolve(response)?.content ?? {})) {
    if (shown.example === undefined) continue;
    const text = typeof shown.example === "string" ? shown.example : json(shown.example);
    blocks.push(codeBlock(`Answer ${status}`, text, `the answer: ${operation.summary}`));
  }
  return blocks;
}

function searchText(path, method, { operationId, summary, tags, responses }) {
  const codes = Object.values(responses).map(({ $ref = "" }) => $ref.split("/").pop().replaceAll(".", " "));
  return [method, path, operationId, summary, ...tags, ...codes].join(" ").toLowerCase();
}

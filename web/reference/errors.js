// Every code that an error can have, with its status and what to do about it.

import { el } from "../dom.js";
import { inline } from "./prose.js";
import { fieldList } from "./schema.js";
import { codeBlock, json } from "./code.js";
import { breakable, table } from "./socket.js";

export function errorsSection(documents) {
  const codes = documents.resolve({ $ref: "#/components/schemas/ProblemCode" }).oneOf;
  const problem = documents.resolve({ $ref: "#/components/schemas/Problem" });
  const rows = codes.map((one) =>
    el("tr", {}, el("td", {}, String(one["x-status"])), el("td", {}, breakable(one.const)), el("td", {}, ...inline(one.description))));
  return el("section", { class: "topic", "aria-labelledby": "errors" },
    el("h2", { id: "errors" }, "Errors"),
    el("article", { class: "operation", id: "problem", "data-search": "error problem body rfc 9457" },
      el("div", { class: "said" },
        el("h3", {}, el("a", { href: "#problem", class: "anchor" }, "The body of an error")),
        el("p", {}, ...inline("Every error is `application/problem+json` (RFC 9457). Programs look at `code`; people read `detail`.")),
        fieldList(problem, documents)),
      el("div", { class: "tried" }, codeBlock("An error", json(problem.examples[0]), "an error"))),
    el("article", { class: "operation", id: "codes", "data-search": `error codes ${codes.map((one) => one.const).join(" ")}` },
      el("div", { class: "said wide" },
        el("h3", {}, el("a", { href: "#codes", class: "anchor" }, "All codes")),
        table(["Status", "Code", "What to do"], rows))));
}

// A schema as a list of fields: name, kind, limits, words; what lies deeper opens on demand.

import { el } from "../dom.js";
import { inline } from "./prose.js";

const LIMITS = [
  ["minLength", (n) => n > 1 && `at least ${n} characters`],
  ["maxLength", (n) => `at most ${n} characters`],
  ["maxItems", (n) => `at most ${n}`],
  ["default", (value) => `default ${JSON.stringify(value)}`],
];
const MOST_WORDS = 20;
const SMALL = 5;

/** The fields of an object, or of what a list holds. */
export function fieldList(schema, documents) {
  const whole = documents.whole(schema);
  const inner = objectIn(whole, documents);
  if (!inner) return el("p", { class: "kind" }, kindOf(whole, documents));
  const required = new Set(inner.required ?? []);
  return el("ul", { class: "fields" }, ...Object.entries(inner.properties).map(([name, field]) =>
    fieldRow(name, field, required.has(name), documents)));
}

/** One field, or one parameter. */
export function fieldRow(name, field, isRequired, documents, description = null) {
  const whole = documents.whole(field);
  const words = wordsOf(whole, documents);
  const inner = objectIn(whole, documents);
  return el("li", { class: "field" },
    el("p", { class: "head" },
      el("code", { class: "name" }, name), " ",
      el("span", { class: "kind" }, kindOf(whole, documents)),
      isRequired ? null : el("span", { class: "optional" }, "optional"),
      ...limits(whole, documents).map((text) => el("span", { class: "limit" }, text))),
    el("p", { class: "text" }, ...inline(description ?? whole.description ?? "")),
    words.length > 0 ? el("p", { class: "words" }, ...words.flatMap((word) => [el("code", {}, word), " "])) : null,
    inner ? deeper(name, inner, documents) : null);
}

/** Small things are there at once. Others are drawn when they are opened: nobody reads all of them. */
function deeper(name, schema, documents) {
  const count = Object.keys(schema.properties).length;
  const box = el("details", { class: "deeper" }, el("summary", {}, `${count} field${count === 1 ? "" : "s"} of `, el("code", {}, name)));
  const draw = () => box.open && box.children.length === 1 && box.append(fieldList(schema, documents));
  box.addEventListener("toggle", draw);
  box.open = count <= SMALL;
  draw();
  return box;
}

/** The alternatives of a schema, null left out. */
function alternatives(schema, documents) {
  const list = schema.oneOf ?? schema.anyOf ?? [];
  return list.map((one) => documents.whole(one)).filter((one) => one.type !== "null" && !isRule(one));
}

/** An alternative that only says which fields go together. */
const isRule = (schema) => schema.required && !schema.type && schema.const === undefined && !schema.$ref;

function objectIn(schema, documents) {
  if (schema.properties && Object.keys(schema.properties).length > 0) return schema;
  if (schema.items) return objectIn(documents.whole(schema.items), documents);
  const inside = alternatives(schema, documents).map((one) => objectIn(one, documents)).filter(Boolean);
  return inside[0] ?? null;
}

function kindOf(schema, documents) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const several = alternatives(schema, documents);
  if (several.length > 0 && !schema.properties && !several.every((one) => typeof one.const === "string")) {
    const kinds = [...new Set(several.map((one) => kindOf(one, documents)))];
    const nullable = (schema.oneOf ?? schema.anyOf).some((one) => documents.whole(one).type === "null");
    return [...kinds, ...(nullable ? ["null"] : [])].join(" or ");
  }
  const types = [schema.type ?? (schema.properties ? "object" : schema.enum || several.length ? "string" : "any JSON")].flat();
  return types.map((type) => (type === "array" && schema.items ? `list of ${plural(schema.items, documents)}` : type)).join(" or ");
}

const plural = (items, documents) => {
  const kind = kindOf(documents.whole(items), documents);
  return { object: "objects", string: "strings", integer: "integers", number: "numbers" }[kind] ?? kind;
};

function wordsOf(schema, documents) {
  const inside = schema.items ? documents.whole(schema.items) : schema;
  const words = inside.enum ?? alternatives(inside, documents).flatMap((one) => one.enum ?? (one.const === undefined ? [] : [one.const]));
  const texts = words.filter((word) => typeof word === "string");
  return texts.length > 1 && texts.length <= MOST_WORDS ? texts : [];
}

function limits(schema, documents) {
  const numbers = [schema, ...alternatives(schema, documents)].filter((one) => [one.type].flat().some((type) => ["number", "integer"].includes(type)));
  const said = LIMITS.filter(([key]) => schema[key] !== undefined).map(([key, say]) => say(schema[key]));
  return [...numbers.map(range), ...said].filter(Boolean);
}

function range({ minimum, maximum }) {
  if (maximum === undefined) return minimum > 0 ? `at least ${minimum}` : "";
  return `${minimum ?? 0} to ${maximum.toLocaleString("en")}`;
}

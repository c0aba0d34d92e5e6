// The form of a webhook endpoint: where it is, which events it wants, what it is for.

import { el } from "../dom.js";
import { field } from "./dialog.js";
import { EVENT_TYPES } from "./words.js";

const FAMILIES = ["payment.*", "transfer.*"];

export function endpointFields({ url, description = "", events = ["*"] } = {}) {
  const all = events.length === 1 && events[0] === "*";
  const box = (name) => el("label", { class: "check" }, el("input", { type: "checkbox", name: "event", value: name, checked: events.includes(name) }), el("code", {}, name));
  const radio = (value, text, checked) => el("label", { class: "check" }, el("input", { type: "radio", name: "which", value, checked }), text);
  return [
    field("url", "URL", { type: "url", inputmode: "url", class: "mono", required: true, placeholder: "https://shop.example/hooks", value: url ?? "" },
      "Webhooks are sent here by POST, signed. It must be https:// and public."),
    field("description", "Description", { value: description, maxlength: "200" }),
    el("fieldset", { class: "field events" }, el("legend", {}, "Events"),
      radio("all", "everything, also what later versions add", all), radio("some", "only these", !all),
      el("div", { class: "checks" }, ...[...FAMILIES, ...EVENT_TYPES].map(box))),
  ];
}

/** The list of boxes shows only where it counts. */
export function wireEvents(form) {
  const show = () => { form.querySelector(".checks").hidden = form.elements.which.value === "all"; };
  form.addEventListener("change", show);
  show();
}

export function readFields(form) {
  const some = form.elements.which.value === "some";
  const chosen = [...form.querySelectorAll("[name=event]:checked")].map(({ value }) => value);
  if (some && !chosen.length) throw new Error("Choose at least one event, or everything.");
  return { url: form.elements.url.value.trim(), description: form.elements.description.value.trim(), events: some ? chosen : ["*"] };
}

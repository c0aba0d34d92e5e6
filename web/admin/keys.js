// API keys: who may call the hub, and how far. A key is shown once, when it is made.

import { el } from "../dom.js";
import * as calls from "./calls.js";
import { ask, field, showSecret } from "./dialog.js";
import { ago, badge, button, head, nothing, table } from "./parts.js";
import { View } from "./view.js";
import { SCOPES } from "./words.js";

export class KeysView extends View {
  title = "API keys";
  #keys = [];
  acts = {
    create: () => this.#create(),
    revoke: ({ id }) => this.#revoke(id),
  };

  async load() {
    if (this.app.may("admin")) this.#keys = (await calls.keys()).data;
  }

  get #first() {
    return !this.app.session.who.keys_required;
  }

  heads() {
    return [head("API keys", {
      under: "What shops, scripts and people present to this hub. The hub keeps only a hash of each.",
      actions: [this.app.may("admin") && button(this.#first ? "Make the first key" : "Make a key", "create", {}, "primary")],
    })];
  }

  parts() {
    if (!this.app.may("admin")) return [nothing("Listing keys takes a key of scope admin; yours is of scope ", el("b", {}, this.app.session.who.scope), ".")];
    if (!this.#keys.length) {
      return [nothing("There are no keys yet, so whoever reaches this hub may do everything. With the first one, which is yours and of scope admin, every caller needs a key.")];
    }
    const columns = [
      ["Name", (k) => [k.name, el("span", { class: "sub mono" }, k.id)], "wide"],
      ["Scope", (k) => badge(k.scope, SCOPES[k.scope])],
      ["State", (k) => (k.revoked_at ? [badge("revoked"), el("span", { class: "sub" }, ago(k.revoked_at))] : [badge("live"), this.#mine(k) ? el("span", { class: "sub" }, "this tab's") : ""])],
      ["Created", (k) => ago(k.created_at)],
      ["Last used", (k) => (k.last_used_at ? ago(k.last_used_at) : el("span", { class: "none" }, "never"))],
      ["Action", (k) => (k.revoked_at ? "" : this.#revokeButton(k)), "end"],
    ];
    return [
      el("div", { class: "card flush" }, table("API keys, the newest first", columns, this.#keys.map((row) => ({ key: row.id, row })))),
      el("dl", { class: "legend" }, ...Object.entries(SCOPES).map(([scope, text]) => el("div", {}, el("dt", {}, badge(scope)), el("dd", {}, text)))),
    ];
  }

  #mine = (key) => key.id === this.app.session.who.id;

  #revokeButton({ id, name }) {
    const revoke = button("Revoke", "revoke", { id }, "small danger-quiet");
    revoke.setAttribute("aria-label", `Revoke ${name}`);
    return revoke;
  }

  async #create() {
    const first = this.#first;
    const made = await ask({
      title: first ? "Make the first key" : "Make a key",
      body: [
        first ? el("p", { class: "warn" }, "From then on every caller needs a key, the shops that use this hub too. This tab gets the new one.") : null,
        field("name", "Name", { required: true, maxlength: "100", placeholder: first ? "operator" : "shop" }, "Whom or what it is for."),
        first ? null : scopeField(),
      ],
      confirm: "Make the key",
      run: (form) => {
        const make = () => calls.createKey({ name: form.elements.name.value.trim(), scope: first ? "admin" : form.elements.scope.value });
        return first ? this.app.session.claim(make) : make();
      },
    });
    if (!made) return;
    await showSecret({
      title: `The key “${made.name}”`, what: "the key", secret: made.key,
      text: `It is of scope ${made.scope}. It is shown this once; the hub keeps only a hash of it.`,
    });
    if (first) await this.app.enterAnew();
    else await this.reload();
  }

  async #revoke(id) {
    const key = this.#keys.find((one) => one.id === id);
    const done = await ask({
      title: `Revoke “${key.name}”?`,
      body: [
        el("p", {}, "Whoever uses it is refused at once, and the sockets it opened are closed. ", el("strong", {}, "It cannot be undone.")),
        this.#mine(key) ? el("p", { class: "warn" }, "It is the key of this tab: you will be signed out.") : null,
      ],
      confirm: "Revoke it", tone: "danger",
      run: async () => {
        await calls.revokeKey(id);
        return true;
      },
    });
    if (!done) return;
    this.app.said(`“${key.name}” is revoked.`);
    await this.reload();
  }
}

function scopeField() {
  return el("fieldset", { class: "field" }, el("legend", {}, "Scope"), ...Object.entries(SCOPES).map(([scope, text]) =>
    el("label", { class: "check" }, el("input", { type: "radio", name: "scope", value: scope, checked: scope === "write" }), el("b", {}, scope), el("span", { class: "hint" }, text))));
}

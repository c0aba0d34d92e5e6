// Who is signed in in this tab, and what they may do. The key stays in this tab's session storage.

import { apiKey, forgetApiKey, keepApiKey } from "../api.js";
import * as calls from "./calls.js";

const SCOPES = ["read", "write", "admin"];
/** A hub of a version without API keys. */
const NO_KEYS = { id: null, name: null, scope: "admin", keys_required: false };

export class Session {
  /** The answer of /v1/keys/current, or null while nobody is signed in. */
  who = null;
  claiming = false;

  /** Finds out whether the key of this tab, or none, opens the hub. */
  async resume() {
    this.who = await ask(apiKey());
  }

  async signIn(key) {
    this.who = await ask(key);
    keepApiKey(key);
  }

  /**
   * Makes the hub's first key. From then on the hub refuses whoever has none, so what was asked meanwhile may be refused, and
   * this tab has the key before it asks anything else.
   */
  async claim(make) {
    this.claiming = true;
    try {
      const made = await make();
      keepApiKey(made.key);
      return made;
    } finally {
      this.claiming = false;
    }
  }

  signOut() {
    forgetApiKey();
    this.who = null;
  }

  get token() {
    return apiKey();
  }

  may(scope) {
    return this.who !== null && SCOPES.indexOf(this.who.scope) >= SCOPES.indexOf(scope);
  }

  /** Whoever and whatever the scope is, in a few words. */
  get words() {
    if (!this.who) return "";
    if (!this.who.keys_required) return "No key needed";
    return `${this.who.name ?? this.who.id} · ${this.who.scope}`;
  }
}

async function ask(key) {
  try {
    return await calls.currentKey(key);
  } catch (error) {
    if (error.status === 404) return NO_KEYS;
    throw error;
  }
}

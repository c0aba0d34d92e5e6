// The dashboard: signs in, then keeps one line to the hub and shows the view that the address names.

import { $ } from "../dom.js";
import { whenRefused } from "./calls.js";
import { closeAll } from "./dialog.js";
import { Endpoints, HubState } from "./hub.js";
import { Line } from "./line.js";
import { tickTimes } from "./parts.js";
import { Router } from "./router.js";
import { Session } from "./session.js";
import * as shell from "./shell.js";
import { signInView, waitingView } from "./sign-in.js";

const TICK_MS = 1_000;
const RETRY_MS = 3_000;

const session = new Session();
let app = null;

/** What views need: who is signed in, the hub's state, the line, and a voice. */
class App {
  session = session;
  said = shell.said;
  endpoints = new Endpoints();

  constructor() {
    shell.showShell(session, () => leave());
    this.line = new Line(session.token, {
      state: shell.showLine,
      events: (events) => this.#events(events),
      gap: () => this.#anew(),
      progress: (id, progress) => this.router?.view.progress(id, progress),
      // A line that was opened without a key ends with the first key, which may be this tab's own by then.
      refused: (reason, key) => key && key === session.token && leave(`The hub ended the line: ${reason}`),
    });
    this.hub = new HubState(() => this.#hubChanged(), () => this.#anew());
    this.router = new Router(this, $("main"));
  }

  close() {
    this.line.close();
    this.hub.close();
    this.router.close();
    closeAll();
  }

  may(scope) {
    return session.may(scope);
  }

  failed(error) {
    if (error.status !== 401) shell.failed(error);
  }

  arrived({ noun }, title) {
    this.hub.wantTrends(noun === "overview");
    shell.quiet();
    closeAll();
    shell.markPlace(noun, title);
  }

  /** The view found out what its title is. */
  retitle(title) {
    document.title = `${title} · paybell`;
  }

  /** This tab has another key: everything is asked anew. */
  async enterAnew() {
    await session.resume();
    enter();
  }

  /** What was known may be of another log. */
  #anew() {
    this.endpoints.forget();
    this.router?.view.reload();
  }

  #events(events) {
    this.endpoints.told(events);
    this.router?.view.events(events);
    this.hub.nudge();
  }

  #hubChanged() {
    shell.showHub(this.hub);
    this.router?.view.hub();
  }
}

function enter() {
  app?.close();
  $("main").replaceChildren();
  app = new App();
}

function leave(message) {
  app?.close();
  app = null;
  session.signOut();
  askForKey(message);
}

function askForKey(message) {
  shell.hideShell();
  document.title = "Sign in · paybell";
  const door = signInView({ session, message, opened: enter });
  $("main").replaceChildren(door.node);
  door.focus();
}

async function start() {
  try {
    await session.resume();
    enter();
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      const had = session.token;
      session.signOut();
      return askForKey(had ? `The key of this tab is no longer valid: ${error.message}` : "");
    }
    $("main").replaceChildren(waitingView(error));
    setTimeout(start, RETRY_MS);
  }
}

whenRefused((error) => {
  if (!app || session.claiming) return;
  leave(session.token ? `The hub no longer takes this key: ${error.message}` : "This hub asks for an API key now.");
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});
setInterval(tickTimes, TICK_MS);
start();

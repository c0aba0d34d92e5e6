// Starts `paybell demo` on free ports, and a webhook receiver, for tests of foreign client code.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const BINARY = process.env.PAYBELL_BIN ?? fileURLToPath(new URL("../../target/debug/paybell", import.meta.url));
const START_DEADLINE_MS = 30_000;
const UNTIL_DEADLINE_MS = 60_000;
const POLL_MS = 25;

/** Answers the words that the program printed before their values: hub, sandbox, secret. */
export async function startDemo({ blockMs = 100 } = {}) {
  const flags = ["demo", "--listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0", "--block-ms", `${blockMs}`];
  const child = spawn(BINARY, flags, { stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(child, "exit");
  const said = {};
  const ready = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("paybell demo did not come up")), START_DEADLINE_MS);
    exit.then(() => reject(new Error("paybell demo ended early")), reject);
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [, word, value] = /^(\w+)\s+(\S+)$/.exec(line) ?? [];
      if (word) said[word] = value;
      if (!said.hub || !said.sandbox || !said.secret) return;
      clearTimeout(timer);
      resolve();
    });
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const [code] = await exit;
    return code;
  };
  await ready;
  return { ...said, stop };
}

/** A receiver that answers 200 and keeps what came: headers, and the body's exact text. */
export async function startReceiver() {
  const received = [];
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString("utf8") });
      response.writeHead(200).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = () => new Promise((done) => { server.close(done); server.closeAllConnections(); });
  return { url: `http://127.0.0.1:${server.address().port}/hook`, received, stop };
}

/** Asks until `look` answers something true. */
export async function until(what, look) {
  const deadline = Date.now() + UNTIL_DEADLINE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export async function post(url, body) {
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}

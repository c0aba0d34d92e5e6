// README.md and docs/ say what is true: links lead somewhere, commands and settings exist, snippets run, the tour gives what it shows.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { post, startDemo, startReceiver, until } from "../clients/demo.mjs";
import { page, pages, ROOT, snippet, source } from "./pages.mjs";
import { likeness, runTour } from "./tour.mjs";

const BINARY = process.env.PAYBELL_BIN ?? join(ROOT, "target/debug/paybell");
const PACKAGES = fileURLToPath(new URL("node_modules", import.meta.url));
const WALLET = "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7";
const everything = pages.map(({ text }) => text).join("\n");
const config = JSON.parse(source("config.example.json"));
let folder, demo;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "paybell-docs-"));
  demo = await startDemo();
});

after(async () => {
  await demo?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

test("every link and anchor leads somewhere", () => {
  let looked = 0;
  for (const { path, links } of pages) {
    for (const { target, file, anchor } of links) {
      assert.ok(existsSync(join(ROOT, file)), `${path}: ${target}`);
      const anchors = page(file)?.anchors;
      if (anchor !== undefined) assert.ok(anchors?.includes(anchor), `${path}: ${target} is not among ${anchors}`);
      looked += 1;
    }
  }
  assert.ok(looked > 60, `${looked} links`);
});

test("every page of docs/ is listed in the README", () => {
  const listed = page("README.md").links.map(({ file }) => file);
  for (const { path } of pages) assert.ok(path === "README.md" || path === "CHANGELOG.md" || listed.includes(path), path);
});

test("every command and flag is one of the program's", () => {
  const asked = new Map();
  const help = (words) => {
    const line = words.join(" ");
    if (!asked.has(line)) asked.set(line, spawnSync(BINARY, [...words, "--help"], { encoding: "utf8" }).stdout ?? "");
    return asked.get(line);
  };
  const lists = (words, name) => new RegExp(`^ {2}${name}( |$)`, "m").test(help(words).split("Options:")[0]);
  let looked = 0;
  for (const { path, code } of pages) {
    for (const [line, , rest] of code.matchAll(/(?:^|[ `]|bin\/|\.\/)(paybell)((?: [^\s`|>&]+)+)/gm)) {
      const words = rest.trim().split(/\s+/);
      const command = [];
      while (/^[a-z][a-z-]*$/.test(words[0] ?? "") && lists(command, words[0])) command.push(words.shift());
      const flags = words.filter((word) => word.startsWith("--")).map((word) => word.replace(/[^a-z-].*$/, ""));
      const ends = !/^[a-z][a-z-]*$/.test(words[0] ?? "") || !help(command).includes("Commands:");
      assert.ok(ends && (command.length > 0 || flags.length === 0), `${path}: ${line}`);
      for (const flag of flags) assert.match(help(command), new RegExp(`${flag}\\b`), `${path}: ${line}`);
      looked += command.length > 0 ? 1 : 0;
    }
  }
  assert.ok(looked > 25, `${looked} commands`);
});

test("every JSON block parses, and those that are configurations are good ones", () => {
  let configurations = 0;
  for (const { path, blocks } of pages) {
    for (const { language, code } of blocks) {
      if (language !== "json") continue;
      const value = JSON.parse(code);
      if (path === "docs/tour.md") continue;   // answers, whose lists are called "data" as the file is
      if (!Object.keys(value).every((key) => key in config)) continue;
      const file = join(folder, "config.json");
      writeFileSync(file, code);
      const { status, stderr } = spawnSync(BINARY, ["check-config", "--config", file], { encoding: "utf8" });
      assert.equal(status, 0, `${path}: ${code}\n${stderr}`);
      configurations += 1;
    }
  }
  assert.ok(configurations >= 4, `${configurations} configurations`);
});

test("the table of settings is the example's keys, each with its default", () => {
  const rows = [...page("docs/configuration.md").text.matchAll(/^\| `([a-z_.[\]]+)` \| (.+?) \|/gm)].map(([, key, value]) => [key, value]);
  const told = new Map(rows);
  const known = new Map();
  const walk = (prefix, object) => {
    for (const [key, value] of Object.entries(object)) {
      known.set(prefix + key, value);
      if (Array.isArray(value) && typeof value[0] === "object") walk(`${prefix}${key}[].`, value[0]);
    }
  };
  walk("", config);
  for (const key of known.keys()) assert.ok(told.has(key), `docs/configuration.md does not tell ${key}`);
  for (const [key, value] of told) {
    const inWallet = key.startsWith("wallets[].");   // The example has no wallet: a key would be somebody's.
    assert.ok(known.has(key) || inWallet, `${key} is no setting`);
    const given = /^`(.*)`$/.exec(value)?.[1];
    if (known.has(key) && given) assert.deepEqual(JSON.parse(given), known.get(key), key);
  }
});

test("every variable is one that the program reads", () => {
  const known = source("src/config/environment.rs");
  const names = new Set(everything.match(/\b(PAYBELL_[A-Z_]+[A-Z]|TRONGRID_API_KEY|POLLING_INTERVAL_SECONDS)\b/g));
  assert.ok(names.size > 8);
  for (const name of names) assert.ok(known.includes(`"${name}"`) || name === "PAYBELL_BIN", name);
});

test("every path of the API takes the method that is named", async () => {
  const named = new Map();
  for (const [, methods, path] of everything.matchAll(/\b((?:GET|POST|PATCH|DELETE)(?:, (?:GET|POST|PATCH|DELETE))*)`? +`?(\/(?:v1|create_payment|payment_status|health|stats|ws)[a-z0-9_/{}.-]*)/g)) {
    for (const method of methods.split(", ")) named.set(`${method} ${path.replaceAll(/\{\w+\}/g, "x")}`, path);
  }
  assert.ok(named.size > 20, `${named.size} requests`);
  for (const request of named.keys()) {
    const [method, path] = request.split(" ");
    const answer = await fetch(demo.hub + path, { method: "OPTIONS" });
    assert.match(answer.headers.get("allow") ?? `${answer.status}`, new RegExp(`\\b${method}\\b`), request);
  }
});

test("every page that is named is served", async () => {
  const named = new Set(everything.match(/(?<=`|:5000)\/(admin|reference|pay\/\{id\}|paybell\.js|paybell\.d\.ts|openapi\.json|asyncapi\.json)(?=[`. ])/g));
  assert.equal(named.size, 7, [...named].join(" "));
  for (const path of named) {
    const answer = await fetch(demo.hub + path.replace("{id}", "01a20e65-cb88-7521-85ca-2a7a6af337c7"));
    assert.equal(answer.status, 200, path);
    await answer.body.cancel();
  }
});

test("each kind of event is explained, and no other", () => {
  const kinds = [...source("src/domain/event.rs").matchAll(/=> "([a-z]+\.[a-z]+)",/g)].map(([, kind]) => kind);
  const told = [...page("docs/integration.md").text.matchAll(/^\| `([a-z]+\.[a-z]+)` \|/gm)].map(([, kind]) => kind);
  assert.deepEqual(told.sort(), kinds.sort());
});

test("each reason of /health and each warning in the log is explained, and no other", () => {
  const operations = page("docs/operations.md").text;
  const rows = [...operations.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text));
  const health = source("src/api/health.rs").replaceAll(/\\\n\s*/g, "");
  const reasons = [...health.matchAll(/"((?:[^"\n]*\{[^"\n]+|the store [^"\n]+))"/g)].map(([, text]) => text.replaceAll(/\{\w*\}/g, "...")).filter((text) => text.includes(" "));
  const messages = sources("src").flatMap(warnings);
  assert.ok(messages.length > 25 && reasons.length >= 7, `${messages.length} messages, ${reasons.length} reasons`);
  const known = new Set([...messages, ...reasons.filter((text) => !text.startsWith("the store failed"))]);
  for (const text of known) assert.ok(rows.includes(text), `docs/operations.md does not explain: ${text}`);
  const tables = operations.slice(operations.indexOf("### What health says"), operations.indexOf("## How it grows"));
  const explained = [...tables.matchAll(/^\| (`.+?`) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text));
  for (const text of explained) assert.ok(known.has(text), `nothing says: ${text}`);
});

test("the tests that the guarantees name exist", () => {
  const { text } = page("docs/guarantees.md");
  const files = [...text.matchAll(/`((?:tests|src)\/[\w./]+)`/g)].map(([, path]) => path);
  for (const path of files) assert.ok(["", ".rs"].some((end) => existsSync(join(ROOT, path.replace(/\/$/, "") + end))), path);
  const inSource = [...text.matchAll(/`((?:domain|api|delivery|source|store)\/[\w./]+|\w+_tests\.rs|store_contract\/\w+\.rs)`/g)].map(([, path]) => path);
  for (const path of inSource) {
    const places = ["src/", "tests/", "src/delivery/"].flatMap((start) => ["", ".rs"].map((end) => start + path + end));
    assert.ok(places.some((place) => existsSync(join(ROOT, place))), path);
  }
  const code = [...sources("src"), ...sources("tests")].join("\n");
  const functions = [...text.matchAll(/`([a-z]+(?:_[a-z]+){3,})`/g)].map(([, name]) => name);
  for (const name of functions) assert.ok(code.includes(`fn ${name}(`), name);
  assert.ok(files.length > 15 && functions.length > 5, `${files.length} files, ${functions.length} functions`);
});

test("the demo says what the tour shows", async () => {
  const shown = page("docs/tour.md").blocks[0].code.trim().split("\n");
  assert.equal(shown.shift(), "$ paybell demo");
  const child = spawn(BINARY, ["demo", "--listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "ignore"] });
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) if (lines.push(line) === shown.length) break;
  child.kill();
  const unlike = (line) => line.replace(/127\.0\.0\.1:\d+/, "ADDRESS").replace(/whsec_\S+/, "SECRET");
  assert.deepEqual(lines.map(unlike), shown.map(unlike));
});

test("the tour gives what it shows", async () => {
  // Slow enough that what the page shows on the way is still so when it is looked at.
  const slow = await startDemo({ blockMs: 500 });
  try {
    const shown = await runTour(page("docs/tour.md").blocks, slow);
    assert.ok(shown >= 9, `${shown} answers`);
  } finally {
    await slow.stop();
  }
});

test("an answer of another shape is noticed", () => {
  const right = { data: [{ type: "payment.created", sequence: 1 }, { type: "payment.completed", sequence: 9 }], next: null };
  assert.equal(likeness({ data: [{ type: "payment.completed", sequence: 3 }], next: null }, right), null);
  for (const wrong of [{ data: [{ type: "payment.expired" }] }, { data: [{ sequence: "1" }] }, { other: 1 }, { next: "x" },
    { data: [{ type: "payment.completed" }, { type: "payment.created" }] }]) {
    assert.notEqual(likeness(wrong, right), null, JSON.stringify(wrong));
  }
});

describe("the snippets of the integration guide, with real webhooks", () => {
  let hooks, receiver;

  before(async () => {
    receiver = await startReceiver();
    const fields = { wallet: "demo", expected_amount_usdt: "7", order_id: "snippets €", callback_url: receiver.url };
    const { body } = await post(`${demo.hub}/v1/payments`, fields);
    await post(`${demo.sandbox}/sandbox/transfer`, { to: body.wallet_address, amount: body.amount_to_pay });
    await until("three webhooks came", () => receiver.received.length >= 3);
    hooks = receiver.received.map(({ headers, body }) => ({ headers, body }));
  });

  after(() => receiver?.stop());

  /** Each webhook as it came, then changed: body, signature, time, header missing. */
  const deliveries = () => hooks.flatMap(({ headers, body }) => [
    { headers, body, status: 204 },
    { headers, body: body.replace("7", "8"), status: 401 },
    { headers: { ...headers, "webhook-signature": "v1,bm90IHRoaXM=" }, body, status: 401 },
    { headers: { ...headers, "webhook-signature": "nonsense" }, body, status: 401 },
    { headers: { ...headers, "webhook-timestamp": "1700000000" }, body, status: 401 },
    { headers: { "webhook-id": headers["webhook-id"] }, body, status: 401 },
  ]);

  const run = (command, file, code) => {
    const given = deliveries();
    writeFileSync(join(folder, file), code);
    if (!existsSync(join(folder, "node_modules"))) symlinkSync(PACKAGES, join(folder, "node_modules"));
    const { status, stdout, stderr } = spawnSync(command, [join(folder, file)], {
      input: JSON.stringify(given), encoding: "utf8", env: { ...process.env, WEBHOOK_SECRET: demo.secret },
    });
    assert.equal(status, 0, stderr);
    const { statuses, handled } = JSON.parse(stdout);
    assert.deepEqual(statuses, given.map((delivery) => delivery.status));
    assert.deepEqual(handled.slice(0, 3), ["payment.created", "payment.detected", "payment.completed"]);
    assert.equal(handled.length, hooks.length);
  };

  test("Python", () => run("python3", "receiver.py", `${snippet("docs/integration.md", "python")}
import json, sys
handled = []
def handle(event):
    handled.append(event["type"])
statuses = [receive(given["body"].encode(), given["headers"]) for given in json.load(sys.stdin)]
print(json.dumps({"statuses": statuses, "handled": handled}))
`));

  test("Node", () => run("node", "receiver.mjs", `${snippet("docs/integration.md", "js")}
import { Readable } from "node:stream";
const handled = [], statuses = [];
const handle = (event) => handled.push(event.type);
for (const { headers, body } of JSON.parse(await text(process.stdin))) {
  const response = { writeHead(status) { statuses.push(status); return this; }, end() {} };
  await receive(Object.assign(Readable.from([Buffer.from(body)]), { headers }), response);
}
console.log(JSON.stringify({ statuses, handled }));
`));

  test("the README's", () => run("python3", "readme.py", `import json, os, sys
from types import SimpleNamespace
handled, statuses = [], []
snippet = ${JSON.stringify(snippet("README.md", "python"))}.replace("whsec_...", os.environ["WEBHOOK_SECRET"])
for given in json.load(sys.stdin):
    request = SimpleNamespace(body=given["body"].encode(), headers=given["headers"])
    names = {"request": request}
    try:
        exec(snippet, names)
        handled.append(names["event"]["type"])
        statuses.append(204)
    except Exception:
        statuses.append(401)
print(json.dumps({"statuses": statuses, "handled": handled}))
`));
});

/** What a file says at `warn` and `error`: the last text of each call. One without a text passes on another's. */
function warnings(code) {
  return [...code.matchAll(/\b(?:warn|error)!\(/g)].flatMap(({ index, 0: start }) => {
    let depth = 1;
    const texts = [];
    for (const [token] of code.slice(index + start.length).matchAll(/"((?:[^"\\]|\\.)*)"|[()]/g)) {
      if (token === "(") depth += 1;
      else if (token === ")" && --depth === 0) break;
      else if (token.startsWith('"')) texts.push(token.slice(1, -1));
    }
    return texts.slice(-1);
  });
}

/** All Rust files below a folder, tests beside the code left out, without comments and test modules. */
function sources(path) {
  const folder = join(ROOT, path);
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".rs"));
  const own = path === "src" ? files.filter((name) => !/(_tests\.rs|[/\\]tests[/\\.]|^tests)/.test(name)) : files;
  const code = own.map((name) => readFileSync(join(folder, name), "utf8").replaceAll(/^\s*\/\/.*$/gm, ""));
  return path === "src" ? code.map((text) => text.split("#[cfg(test)]\nmod tests {")[0]) : code;
}

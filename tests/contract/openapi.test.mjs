// A running hub against its own /openapi.json: schemathesis makes up thousands of requests from it, good and bad ones, and
// holds every answer to it; each operation must have succeeded at least once.
//
// Left out are the two streams, whose answers never end: live.test.mjs reads them. Left out is also the check that every request
// which fits the schemas is accepted: no schema can say which wallets are configured, or that one time lies before another.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startDemo, startReceiver } from "../clients/demo.mjs";
import { seed } from "./seeds.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const ENDLESS = ["streamEvents", "streamPaymentEvents"];
const CHECKS = [
  "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
  "response_schema_conformance", "negative_data_rejection", "unsupported_method",
  "allow_header_conformance", "ignored_auth", "use_after_free",
];
let demo;
let receiver;
let folder;

before(async () => {
  [demo, receiver, folder] = await Promise.all([startDemo(), startReceiver(), mkdtemp(join(tmpdir(), "paybell-contract-"))]);
}, { timeout: 60_000 });

after(async () => {
  await receiver?.stop();
  await demo?.stop();
  if (folder) await rm(folder, { recursive: true });
});

/** Runs a program in the folder of this test. Its hooks must find themselves, whatever Python they are run by. */
async function run(program, flags, env = {}) {
  const child = spawn(program, flags, { cwd: folder, env: { ...process.env, PYTHONPATH: here("."), ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => { said += chunk; });
  const [code] = await once(child, "close");
  return { code, said };
}

describe("the OpenAPI document", { timeout: 400_000 }, () => {
  test("is valid", async () => {
    const file = join(folder, "openapi.json");
    await writeFile(file, await (await fetch(`${demo.hub}/openapi.json`)).text());
    const { code, said } = await run("python3", ["-m", "openapi_spec_validator", file]);
    assert.equal(code, 0, said);
  });

  test("is what the hub does", async () => {
    const seeds = await seed(demo, receiver);
    const flags = [
      "--config-file", here("schemathesis.toml"), "--no-color", "run", `${demo.hub}/openapi.json`, "--checks", CHECKS.join(","),
      "--header", `Authorization: Bearer ${seeds.key}`, "--report", "json", "--report-dir", folder,
      ...ENDLESS.flatMap((name) => ["--exclude-operation-id", name]),
    ];
    const env = { PAYBELL_SEEDS: JSON.stringify(seeds), SCHEMATHESIS_HOOKS: "hooks" };
    const { code, said } = await run("schemathesis", flags, env);
    assert.equal(code, 0, said.slice(-20_000));
    await assertAllSucceeded();
  });

  async function assertAllSucceeded() {
    const name = (await readdir(folder)).find((file) => file.startsWith("json-"));
    const report = JSON.parse(await readFile(join(folder, name), "utf8"));
    const { paths } = await (await fetch(`${demo.hub}/openapi.json`)).json();
    const operations = Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).filter(([, { operationId }]) => !ENDLESS.includes(operationId)).map(([method]) => `${method.toUpperCase()} ${path}`));
    const accepted = (label) => Object.values(report.valid_rates[label] ?? {}).reduce((sum, phase) => sum + phase.accepted, 0);
    // The document itself is what the run began with; its rates do not count that.
    const asked = operations.filter((label) => label !== "GET /openapi.json");
    assert.deepEqual(asked.filter((label) => accepted(label) === 0), [], "operations that never succeeded");
    assert.ok(report.test_cases.generated > 1_000, `only ${report.test_cases.generated} requests were made`);
    assert.deepEqual(report.errors, []);
  }
});

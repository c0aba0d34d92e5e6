// JSON Schema from Node: hands cases to validate.py, which has the validator that schemathesis brings along.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("validate.py", import.meta.url));

/** What is wrong with each `{document, pointer, instance}`; without a pointer the document itself is the schema. */
export async function mistakes(cases) {
  const child = spawn("python3", [SCRIPT], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(cases));
  let text = "";
  child.stdout.on("data", (chunk) => { text += chunk; });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`validate.py ended with ${code}`);
  return JSON.parse(text);
}

// Runs the tour: its shell blocks one after the other in one shell, each answer held against the JSON block that follows.

import { spawn } from "node:child_process";
import { once } from "node:events";

const ANSWER_DEADLINE_MS = 40_000;
const PAUSE_MS = 100;
/** Fields whose very value the page promises; of all others it promises the name and the type. */
const EXACT = new Set(["type", "status", "state", "reason", "settled_by", "kind", "order_id", "amount", "amount_to_pay", "received_amount", "wallet"]);

/** Answers how many answers were held against the page. */
export async function runTour(blocks, demo) {
  const commands = blocks.filter(({ language }) => language === "sh" || language === "json");
  const shell = openShell();
  let shown = 0;
  try {
    for (const [place, { language, code }] of commands.entries()) {
      if (language !== "sh") continue;
      const here = code.replace("http://127.0.0.1:5000", demo.hub).replace("http://127.0.0.1:9090", demo.sandbox);
      const next = commands[place + 1];
      if (next?.language !== "json") throw new Error(`no answer is shown for: ${code}`);
      await answered(shell, here, JSON.parse(next.code));
      shown += 1;
    }
  } finally {
    shell.end();
  }
  return shown;
}

/** What only looks may be looked at again until it is so; what changes something is done once. */
async function answered(shell, code, expected) {
  const deadline = Date.now() + ANSWER_DEADLINE_MS;
  const repeatable = !/ -d |-X (POST|DELETE)/.test(code);
  for (;;) {
    const said = await shell.run(code);
    const why = likenessOfText(expected, said);
    if (why === null) return;
    if (!repeatable || Date.now() > deadline) throw new Error(`${code}\nanswered ${said}\nwhich is not what the tour shows: ${why}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function likenessOfText(expected, said) {
  try {
    return likeness(expected, JSON.parse(said));
  } catch (error) {
    return `${error}`;
  }
}

/** Null when the answer has what is shown, and else why not: names and types, rows in the order shown, some values. */
export function likeness(shown, answer, at = "") {
  if (shown === null || answer === null || typeof shown !== "object" || typeof answer !== "object") {
    if (typeof shown !== typeof answer || (shown === null) !== (answer === null)) return `${at} is ${JSON.stringify(answer)}`;
    const name = at.split(/[.[]/).at(-1);
    return EXACT.has(name) && shown !== answer ? `${at} is ${JSON.stringify(answer)}, not ${JSON.stringify(shown)}` : null;
  }
  if (Array.isArray(shown) !== Array.isArray(answer)) return `${at} is another kind of thing`;
  if (Array.isArray(shown)) return rowsLike(shown, answer, at);
  for (const [key, value] of Object.entries(shown)) {
    if (!(key in answer)) return `${at}.${key} is missing`;
    const why = likeness(value, answer[key], `${at}.${key}`);
    if (why !== null) return why;
  }
  return null;
}

function rowsLike(shown, answer, at) {
  let from = 0;
  for (const [place, row] of shown.entries()) {
    const found = answer.findIndex((candidate, index) => index >= from && likeness(row, candidate) === null);
    if (found < 0) return `${at}[${place}] is not there`;
    from = found + 1;
  }
  return null;
}

/** One shell for all blocks, so that they share variables and functions. */
function openShell() {
  const child = spawn("bash", ["--noprofile", "--norc"], { stdio: ["pipe", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk) => { said += chunk; });
  const run = async (code) => {
    said = "";
    const mark = `done-${Math.random()}`;
    child.stdin.write(`${code}\necho\necho ${mark}\n`);
    while (!said.includes(`\n${mark}\n`)) await once(child.stdout, "data");
    return said.slice(0, said.indexOf(`\n${mark}\n`)).trim();
  };
  return { run, end: () => child.stdin.end() };
}

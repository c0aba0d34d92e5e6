// What the browser test stands on: the program under test, a browser, and a watch over everything that a page should not do.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 15_000;
const UNTIL_DEADLINE_MS = 60_000;
const POLL_MS = 50;
const SHOTS = fileURLToPath(new URL("shots/", import.meta.url));
const BINARY = process.env.PAYBELL_BIN ?? fileURLToPath(new URL("../../target/debug/paybell", import.meta.url));
const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Starts `paybell demo` on free ports. Answers its address and how to stop it. */
export const startDemo = () =>
  startProgram(["demo", "--listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0", "--block-ms", "300"], "hub");

/** Starts the program and waits until it has printed the address after this word. */
export async function startProgram(flags, word) {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: run cargo build, or name the program in PAYBELL_BIN`);
  const child = spawn(BINARY, flags, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => { said = (said + chunk).slice(-20_000); });
  const gone = once(child, "exit");
  const end = async (signal) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
    const [code, by] = await gone;
    clearTimeout(timer);
    return { code, signal: by };
  };
  try {
    const url = await announcedAddress(child, gone, word);
    return { url, stop: () => end("SIGTERM"), kill: () => end("SIGKILL"), said: () => said };
  } catch (error) {
    await end("SIGTERM");
    throw new Error(`${error.message}\n${said}`);
  }
}

function announcedAddress(child, gone, word) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`paybell printed no ${word} address in time`)), START_DEADLINE_MS);
    gone.then(([code, signal]) => reject(new Error(`paybell ended early (${code ?? signal})`)), reject);
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = new RegExp(`^\\s*${word}\\s+(http://\\S+)`).exec(line);
      if (!found) return;
      clearTimeout(timer);
      resolve(new URL(found[1]).origin);
    });
  });
}

export async function startBrowser() {
  const executablePath = process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path));
  if (!executablePath) throw new Error("no Chromium found: apt-get install chromium, or name one in CHROMIUM");
  const args = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  return chromium.launch({ executablePath, args });
}

/**
 * Collects what must not happen on a page, and the frames of its sockets. `expected` holds failures that a test provokes, each
 * of them once, `tolerated` those that come as often as they like.
 */
export function watchPage(page, origin) {
  const watch = { problems: [], frames: [], sent: [], expected: [], tolerated: [] };
  const note = (text) => {
    if (watch.tolerated.some((pattern) => pattern.test(text))) return;
    const at = watch.expected.findIndex((pattern) => pattern.test(text));
    if (at < 0) watch.problems.push(text);
    else watch.expected.splice(at, 1);
  };
  page.on("pageerror", (error) => note(`page error: ${error.stack ?? error}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) note(`console ${message.type()}: ${message.text()} ${message.location().url}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith("data:") && new URL(url).origin !== origin) note(`request to another origin: ${url}`);
  });
  page.on("websocket", (socket) => {
    if (new URL(socket.url()).host !== new URL(origin).host) note(`socket to another origin: ${socket.url()}`);
    socket.on("framereceived", ({ payload }) => watch.frames.push(JSON.parse(payload)));
    socket.on("framesent", ({ payload }) => watch.sent.push(JSON.parse(payload)));
  });
  return watch;
}

/** Runs axe-core over the page as it is. The number of passes shows that it really looked. */
export async function accessibility(page) {
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((node) => node.html).join("\n  ")}`);
  return { found, passes: passes.length };
}

export const LOOKS = [["phone", 390, 844], ["desktop", 1280, 900]].flatMap(([device, width, height]) =>
  ["light", "dark"].map((colorScheme) => ({ name: `${device}-${colorScheme}`, viewport: { width, height }, colorScheme })));

export async function wear(page, { viewport, colorScheme }) {
  await page.setViewportSize(viewport);
  await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
}

export async function screenshot(page, name, { fullPage = true } = {}) {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}${name}.png`, fullPage });
}

/** Waits for a condition outside of the page. */
export async function until(what, condition) {
  const deadline = Date.now() + UNTIL_DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

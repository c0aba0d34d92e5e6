// The documents as text: which there are, their code blocks, links, headings and anchors.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FOLDERS = ["docs", "examples/shop"];
const FENCE = /^( *)```(\w*)\n([\s\S]*?)^\1```$/gm;

const paths = ["README.md", "CHANGELOG.md", ...FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".md")).map((name) => `${folder}/${name}`))];

export const pages = paths.map((path) => {
  const text = readFileSync(join(ROOT, path), "utf8");
  const prose = text.replace(FENCE, "");
  return { path, text, prose, blocks: blocksOf(text), code: codeOf(text, prose), anchors: anchorsOf(prose), links: linksOf(path, prose) };
});

export const page = (path) => pages.find((found) => found.path === path);

export const source = (path) => readFileSync(join(ROOT, path), "utf8");

/** The first code block of a language. */
export const snippet = (path, language) => page(path).blocks.find((block) => block.language === language).code;

function blocksOf(text) {
  return [...text.matchAll(FENCE)].map(([, , language, code]) => ({ language, code }));
}

/** What is written as code, in blocks and in lines. */
function codeOf(text, prose) {
  const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, code]) => code.replaceAll("\n", " "));
  return [...blocksOf(text).map(({ code }) => code), ...spans].join("\n");
}

/** As GitHub makes them: lower case, without punctuation, hyphens for spaces, -1 for the second of a name. */
function anchorsOf(prose) {
  const seen = new Map();
  return [...prose.matchAll(/^#{1,6} (.+)$/gm)].map(([, title]) => {
    const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const slug = plain.toLowerCase().replace(/[^\p{L}\p{N}\p{M} _-]/gu, "").replaceAll(" ", "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count ? `${slug}-${count}` : slug;
  });
}

/** Links into this repository: the file, from its root, and the anchor. */
function linksOf(path, prose) {
  const targets = [...prose.replace(/`[^`\n]*`/g, (code) => (prose.includes(`[${code}]`) ? code : "")).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target)).map((target) => {
    const [file, anchor] = target.split("#");
    return { target, file: file ? relative(".", join(dirname(path), file)) : path, anchor };
  });
}

// Brings a drawn tree up to date in place: what did not change keeps its focus, its scroll position and its open details.
// Parts with `data-own` are somebody else's and are left alone. Listeners belong on what stays: the view's own element.

/** Makes `old` look like `fresh`, whose nodes it may take over. */
export function morph(old, fresh) {
  if (old.isEqualNode(fresh) || old.hasAttribute("data-own")) return;
  patchAttributes(old, fresh);
  patchChildren(old, fresh);
}

function patchAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    // Whether details are open is up to who reads them, a busy button to who pressed it.
    if (!fresh.hasAttribute(name) && name !== "open" && name !== "data-busy") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.hasAttribute("data-busy")) old.disabled = true;
}

/** What is not wanted any more goes first, so that what stays need not be moved: a moved node loses its focus and its clicks. */
function patchChildren(old, fresh) {
  const wanted = named(fresh.childNodes);
  const present = named(old.childNodes);
  for (const [name, node] of present) if (!wanted.has(name)) node.remove();
  let place = old.firstChild;
  for (const [name, node] of wanted) {
    const match = present.get(name);
    if (!match) {
      old.insertBefore(node, place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    if (match.nodeType === Node.ELEMENT_NODE) morph(match, node);
    else if (match.data !== node.data) match.data = node.data;
  }
}

/** Nodes by their `data-key`, else by their kind: the second paragraph of class `hint` is that of the drawing before. */
function named(nodes) {
  const counts = new Map();
  const names = new Map();
  for (const node of nodes) {
    const kind = node.dataset?.key ?? `${node.nodeName} ${node.getAttribute?.("class") ?? ""}`;
    const count = counts.get(kind) ?? 0;
    counts.set(kind, count + 1);
    names.set(`${count} ${kind}`, node);
  }
  return names;
}

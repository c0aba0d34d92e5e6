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

function patchChildren(old, fresh) {
  const keyed = new Map();
  for (const child of old.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = wanted.dataset?.key;
    const match = key ? keyed.get(key) : similar(place, wanted) ? place : null;
    if (!match || match.nodeName !== wanted.nodeName) {
      old.insertBefore(wanted, place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    if (match.nodeType === Node.ELEMENT_NODE) morph(match, wanted);
    else if (match.data !== wanted.data) match.data = wanted.data;
    keyed.delete(key);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

/** A node without a key is taken for the one that stands in its place. */
const similar = (place, wanted) => place !== null && place.nodeName === wanted.nodeName && !place.dataset?.key;

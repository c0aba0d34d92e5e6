// A document and its references. Knows OpenAPI and JSON Schema as far as our own documents use them.

const METHODS = ["get", "post", "patch", "delete"];

export class Documents {
  constructor(root) {
    this.root = root;
  }

  /** What a value stands for: itself, or what it refers to, its own words first. */
  resolve(value) {
    if (!value?.$ref) return value;
    const { $ref, ...own } = value;
    const path = $ref.slice(2).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    const target = path.reduce((found, part) => found?.[part], this.root);
    return { ...this.resolve(target), ...own };
  }

  operations() {
    return Object.entries(this.root.paths).flatMap(([path, item]) =>
      Object.keys(item).filter((method) => METHODS.includes(method)).map((method) => ({ path, method, operation: item[method] })));
  }

  /** A schema with its parts (`allOf`) laid together, so that it can be shown as one. */
  whole(schema) {
    const { allOf = [], ...own } = this.resolve(schema) ?? {};
    return allOf.map((part) => this.whole(part)).reduceRight((whole, part) => ({
      ...part,
      ...whole,
      required: [...(part.required ?? []), ...(whole.required ?? [])],
      properties: mergeFields(part.properties, whole.properties),
    }), own);
  }
}

/** A field that a part says more about keeps what was said before. */
function mergeFields(before = {}, after = {}) {
  const merged = { ...before };
  for (const [name, field] of Object.entries(after)) merged[name] = merged[name] ? { ...merged[name], ...field } : field;
  return merged;
}

// A list in pages, the newest first: its first page read anew keeps what was loaded below it. Bounded, however long one looks.

const PAGE = 50;
const KEPT_MAX = 500;

export class Listing {
  rows = [];
  next = null;
  #read;
  #key;

  /** `read({after, limit})` asks for a page; `key` is the name of the field that tells rows apart. */
  constructor(read, key = "id", limit = PAGE) {
    this.#read = read;
    this.#key = key;
    this.limit = limit;
  }

  /** The first page anew. What is no longer in it but was loaded before stays below, if the two still meet. */
  async refresh() {
    const page = await this.#read({ limit: this.limit });
    const known = new Set(page.data.map((row) => row[this.#key]));
    const last = page.data.at(-1)?.[this.#key];
    const meets = this.rows.findIndex((row) => row[this.#key] === last);
    const longer = page.next !== null && meets >= 0 && this.rows.length > meets + 1;
    const below = longer ? this.rows.slice(meets + 1).filter((row) => !known.has(row[this.#key])) : [];
    this.rows = [...page.data, ...below].slice(0, KEPT_MAX);
    if (!below.length) this.next = page.next;
  }

  async more() {
    const page = await this.#read({ limit: this.limit, after: this.next });
    const known = new Set(this.rows.map((row) => row[this.#key]));
    this.rows = [...this.rows, ...page.data.filter((row) => !known.has(row[this.#key]))];
    this.next = this.rows.length >= KEPT_MAX ? null : page.next;
  }

  get full() {
    return this.rows.length >= KEPT_MAX;
  }

  /** Puts a row on top, or changes the one that is there. */
  put(row) {
    const at = this.rows.findIndex((other) => other[this.#key] === row[this.#key]);
    if (at >= 0) this.rows[at] = { ...this.rows[at], ...row };
    else this.rows = [row, ...this.rows].slice(0, KEPT_MAX);
  }

  has(id) {
    return this.rows.some((row) => row[this.#key] === id);
  }

  remove(id) {
    this.rows = this.rows.filter((row) => row[this.#key] !== id);
  }
}

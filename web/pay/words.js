// Speaks one language: texts from the tables, numbers and times by Intl. Knows nothing of payments.

import { LANGUAGES } from "./strings.js";

const FALLBACK = "en";

/** The table for `?lang=` if there is one, else for what the browser prefers, else English. */
export function chooseLanguage(search, preferred, tables = LANGUAGES) {
  const wanted = [new URLSearchParams(search).get("lang"), ...preferred].filter(Boolean);
  for (const tag of wanted) {
    const known = Object.keys(tables).find((name) => tag.toLowerCase() === name.toLowerCase() || tag.toLowerCase().startsWith(`${name.toLowerCase()}-`));
    if (known) return known;
  }
  return FALLBACK;
}

/** How numbers and times are written: as in the region that the browser is set to, where that speaks the language. */
export function chooseLocale(language, preferred) {
  return preferred.find((tag) => tag.toLowerCase().split("-")[0] === language.toLowerCase().split("-")[0]) ?? language;
}

export class Words {
  #locale;
  #texts;
  #plural;
  #numbers;
  #isolates;

  constructor(language, preferred = [], tables = LANGUAGES) {
    const { direction, texts } = tables[language];
    this.#locale = chooseLocale(language, preferred);
    this.language = language;
    this.direction = direction;
    this.#texts = { ...tables[FALLBACK].texts, ...texts };
    this.#plural = new Intl.PluralRules(language);
    this.#numbers = new Intl.NumberFormat(this.#locale);
    this.#isolates = direction === "rtl";
  }

  /** The text of a key, filled in. Numbers are written as the language writes them; amounts are texts and stay exact. */
  say(key, values = {}) {
    const found = this.#texts[key];
    if (found === undefined) throw new RangeError(`no text is called ${key}`);
    const text = typeof found === "string" ? found : found[this.#plural.select(values.count)] ?? found.other;
    return text.replace(/\{(\w+)\}/g, (_, name) => this.#isolated(this.#written(values[name])));
  }

  number = (value) => this.#numbers.format(value);

  /** 14:32, or 1:04:32. */
  clock(seconds) {
    const whole = Math.ceil(seconds);
    const two = new Intl.NumberFormat(this.#locale, { minimumIntegerDigits: 2 });
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return hours ? `${this.number(hours)}:${two.format(minutes)}:${two.format(rest)}` : `${two.format(minutes)}:${two.format(rest)}`;
  }

  /** A moment of the day, with its date where that is not the day of `now`. Both in unix seconds. */
  moment(seconds, now) {
    const [at, today] = [new Date(seconds * 1000), new Date((now ?? seconds) * 1000)];
    const sameDay = at.toDateString() === today.toDateString();
    const day = sameDay ? {} : { day: "numeric", month: "short" };
    return new Intl.DateTimeFormat(this.#locale, { ...day, hour: "numeric", minute: "2-digit" }).format(at);
  }

  #written(value) {
    if (value === undefined) throw new RangeError("a value for the text is missing");
    return typeof value === "number" ? this.number(value) : String(value);
  }

  /** Digits and addresses keep their order inside of a text that runs from right to left. */
  #isolated(text) {
    return this.#isolates ? `\u2068${text}\u2069` : text;
  }
}

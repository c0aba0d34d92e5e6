// Amounts as the hub writes them: exact decimals in text. Whole numbers inside, never floats.

const DECIMAL = /^(\d+)(?:\.(\d+))?$/;

/** `a - b`, and "0.0" where that would be less than nothing. Written as the hub writes amounts. */
export function minus(a, b) {
  const scale = Math.max(decimals(a), decimals(b));
  const left = units(a, scale) - units(b, scale);
  return written(left > 0n ? left : 0n, scale);
}

export function compare(a, b) {
  const scale = Math.max(decimals(a), decimals(b));
  const [x, y] = [units(a, scale), units(b, scale)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Whether `a` is less than one of `shares` equal shares of `b`. */
export function isShareBelow(a, b, shares) {
  const scale = Math.max(decimals(a), decimals(b));
  return units(a, scale) * shares < units(b, scale);
}

export const isZero = (amount) => units(amount, decimals(amount)) === 0n;

const decimals = (amount) => parts(amount)[1].length;

function units(amount, scale) {
  const [whole, fraction] = parts(amount);
  return BigInt(whole + fraction.padEnd(scale, "0"));
}

function parts(amount) {
  const found = DECIMAL.exec(amount);
  if (!found) throw new RangeError(`not an amount: ${amount}`);
  return [found[1], found[2] ?? ""];
}

function written(number, scale) {
  const digits = String(number).padStart(scale + 1, "0");
  const cut = digits.length - scale;
  return `${digits.slice(0, cut)}.${digits.slice(cut).replace(/0+$/, "") || "0"}`;
}

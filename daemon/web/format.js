// Figures and times as people read them. Times are UTC.

const NS_PER_MS = 1e6;
const MINUS = "−";
const NONE = "–";

const fixed = new Map();

function decimals(count) {
  if (!fixed.has(count)) {
    fixed.set(count, new Intl.NumberFormat("en", { minimumFractionDigits: count, maximumFractionDigits: count }));
  }
  return fixed.get(count);
}

function withMinus(text) {
  return text.replace("-", MINUS);
}

/** Money, with two digits; `signed` puts a plus before a gain. */
export function money(value, signed = false) {
  if (value === null || value === undefined) return NONE;
  const text = withMinus(decimals(2).format(value));
  return signed && value > 0 ? `+${text}` : text;
}

/** How many digits a step has after the point. */
export function digitsOf(step) {
  const text = step >= 1e-6 || step === 0 ? String(step) : step.toFixed(12).replace(/0+$/, "");
  return (text.split(".")[1] ?? "").length;
}

/** A price with the digits of its step; without one, six figures that count. */
export function price(value, step) {
  if (value === null || value === undefined) return NONE;
  if (step) return withMinus(decimals(digitsOf(step)).format(value));
  return withMinus(new Intl.NumberFormat("en", { maximumSignificantDigits: 6 }).format(value));
}

/** A quantity, without needless zeros. */
export function quantity(value) {
  return withMinus(new Intl.NumberFormat("en", { maximumFractionDigits: 12 }).format(value));
}

/** A count. */
export function count(value) {
  return decimals(0).format(value);
}

/** A ratio, with two digits. */
export function ratio(value) {
  return value === null ? NONE : withMinus(value.toFixed(2));
}

/** A fraction as a percentage. */
export function percent(value) {
  return `${withMinus(decimals(value < 0.1 ? 1 : 0).format(value * 100))}\u00a0%`;
}

/** What was gained, as a percentage with its sign; null where there was nothing to gain from. */
export function gain(value) {
  if (value === null) return NONE;
  return `${value > 0 ? "+" : ""}${withMinus(decimals(2).format(value * 100))}\u00a0%`;
}

export function date(ns) {
  return new Date(ns / NS_PER_MS);
}

/** Date and time; the date is left out where it is `today`'s. */
export function when(ns, today) {
  if (!ns) return NONE;
  const text = date(ns).toISOString();
  const time = text.slice(11, 19);
  return today !== undefined && date(today).toISOString().slice(0, 10) === text.slice(0, 10) ? time : `${text.slice(0, 10)} ${time}`;
}

/** A time of the wall's, of this day. */
export function clock(ms) {
  return `${new Date(ms).toISOString().slice(11, 19)} UTC`;
}

/** A span of time in the largest unit that tells enough. */
export function span(ms) {
  if (ms < 0) ms = 0;
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} d`;
}

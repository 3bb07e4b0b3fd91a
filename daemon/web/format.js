// Figures and times as people read them. Times are UTC.

const NS_PER_MS = 1e6;
const MINUS = "−";
export const NONE = "–";

const fixed = new Map();

function decimals(count) {
  if (!fixed.has(count)) {
    fixed.set(count, new Intl.NumberFormat("en", { minimumFractionDigits: count, maximumFractionDigits: count }));
  }
  return fixed.get(count);
}

const isNothing = (text) => !/[1-9]/.test(text);

/** Put a true minus; what is rounded to nothing has no sign. */
function withMinus(text) {
  return text.replace("-", isNothing(text) ? "" : MINUS);
}

function withPlus(text, value) {
  return value > 0 && !isNothing(text) ? `+${text}` : text;
}

/** Money, with two digits; `signed` puts a plus before a gain. */
export function money(value, signed = false) {
  if (value === null || value === undefined) return NONE;
  const text = withMinus(decimals(2).format(value));
  return signed ? withPlus(text, value) : text;
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

/** A fraction as a percentage; `signed` puts a plus before a gain. */
export function percent(value, digits = 0, signed = false) {
  if (value === null) return NONE;
  const text = withMinus(decimals(digits).format(value * 100));
  return `${signed ? withPlus(text, value) : text}%`;
}

/** An amount of whatever unit: short, with the digits its size calls for. */
export function amount(value) {
  if (value === null || value === undefined) return NONE;
  const size = Math.abs(value);
  const most = size >= 1_000 ? { maximumFractionDigits: 0 } : size >= 1 ? { maximumSignificantDigits: 4 } : { maximumFractionDigits: 4 };
  const tiny = size > 0 && size < 1e-4;
  return withMinus(new Intl.NumberFormat("en", tiny ? { maximumSignificantDigits: 2 } : most).format(value));
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

/** A span of time in its two largest units. */
export function span(ms) {
  const all = Math.max(0, Math.floor(ms / 1000));
  const two = (count) => String(count).padStart(2, "0");
  if (all < 60) return `${all} s`;
  if (all < 3_600) return `${Math.floor(all / 60)} m ${two(all % 60)} s`;
  if (all < 86_400) return `${Math.floor(all / 3_600)} h ${two(Math.floor((all % 3_600) / 60))} m`;
  return `${Math.floor(all / 86_400)} d ${two(Math.floor((all % 86_400) / 3_600))} h`;
}

// Lengths of bars.

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
const OFFERED = ["1s", "5s", "15s", "1m", "5m", "15m", "30m", "1h", "4h", "1d"];
const PLACE = /^(\d+)([smhdw])$/;

/** Return how many seconds a timeframe is. */
export function seconds(timeframe) {
  const [, count, unit] = PLACE.exec(timeframe) ?? [, 0, "s"];
  return Number(count) * SECONDS[unit];
}

/** Return the usual timeframes that are made of whole bars of `base`. */
export function longer(base) {
  return OFFERED.filter((each) => seconds(each) > seconds(base) && seconds(each) % seconds(base) === 0);
}

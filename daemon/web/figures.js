// What the charts show: candlesticks with trades and features, and equity curves; of now and of backtests alike.

import { money, price, quantity } from "./format.js";
import { axis, colours, layout, plain } from "./plot.js";

const NS_PER_MS = 1e6;
const BARS_MIN = 30; // fewer leave room to their left: a few minutes are no wall of colour
const SPAN_MIN_MS = 60_000;

/**
 * Return an equity curve.
 *
 * @param times in milliseconds.
 * @param values one each.
 * @param start what it began with.
 * @param keep the same for as long as what people have zoomed to shall stay.
 */
export function equityFigure({ times, values, start, keep }) {
  const colour = colours();
  const line = {
    type: "scatter",
    mode: values.length > 1 ? "lines" : "lines+markers",
    x: times,
    y: values,
    line: { color: colour.accent, width: 1.75 },
    hovertemplate: "%{y:,.2f}<extra></extra>",
  };
  const low = Math.min(...values);
  const high = Math.max(...values);
  const near = start >= low && start <= high;
  const isShort = times.length > 0 && times.at(-1) - times[0] < SPAN_MIN_MS;
  const about = Math.abs(low) / 1_000 || 1;
  const begun = { type: "line", xref: "paper", x0: 0, x1: 1, y0: start, y1: start };
  return {
    traces: [line],
    layout: layout(colour, {
      uirevision: keep,
      xaxis: axis(colour, { type: "date", showgrid: false, ...within(isShort && [times.at(-1) - SPAN_MIN_MS, times.at(-1)]) }),
      yaxis: axis(colour, {
        side: "right",
        tickformat: ",.8~g",
        fixedrange: true,
        nticks: 6,
        ...within(low === high && [low - about, high + about]),
      }),
      shapes: near ? [{ ...begun, line: { color: colour.edge, width: 1, dash: "dot" } }] : [],
    }),
    label: `Equity curve: ${money(values.at(-1))} at the end, between ${money(low)} and ${money(high)}`,
  };
}

/** Return how far an axis reaches: as far as is given, else as what is drawn. */
function within(range) {
  return range ? { range, autorange: false } : { autorange: true };
}

/** Return the features there are numbers for, and whether each is a price. */
export function featuresOf(bars) {
  const found = new Map();
  for (const bar of bars) {
    for (const [name, value] of Object.entries(bar.features ?? {})) {
      if (value !== null) found.set(name, value / bar.close);
    }
  }
  return [...found].map(([name, ratio]) => ({ name, isPrice: ratio > 0.5 && ratio < 2 }));
}

/**
 * Return candlesticks.
 *
 * @param features those to draw, of `featuresOf`: prices over the bars, all others below.
 * @param step of prices, if it is known.
 */
export function candleFigure({ symbol, bars, trades, features, step, keep }) {
  const colour = colours();
  const times = bars.map((bar) => bar.open_ns / NS_PER_MS);
  const ends = bars.length ? bars.at(-1).close_ns / NS_PER_MS : 0;
  const few = bars.length > 0 && bars.length < BARS_MIN;
  const room = few && [ends - ((bars[0].close_ns - bars[0].open_ns) / NS_PER_MS) * BARS_MIN, ends];
  const below = features.some((each) => !each.isPrice);
  const palette = [colour.accent, colour.warn, "#9a6dd7", "#2ba5b5", "#c4669b", colour.dim];
  const candles = {
    type: "candlestick",
    name: plain(symbol),
    hoverlabel: { namelength: 0 },
    x: times,
    open: bars.map((bar) => bar.open),
    high: bars.map((bar) => bar.high),
    low: bars.map((bar) => bar.low),
    close: bars.map((bar) => bar.close),
    increasing: { line: { color: colour.up, width: 1 }, fillcolor: colour.up },
    decreasing: { line: { color: colour.down, width: 1 }, fillcolor: colour.down },
  };
  const overlays = features.map((feature, index) => ({
    type: "scatter",
    mode: "lines",
    name: plain(feature.name),
    x: times,
    y: bars.map((bar) => bar.features?.[feature.name] ?? null),
    yaxis: feature.isPrice ? "y" : "y2",
    line: { color: palette[index % palette.length], width: 1.4 },
    hovertemplate: `${plain(feature.name)}: %{y:,.6~g}<extra></extra>`,
  }));
  const shown = trades.filter((trade) => bars.length && trade.executed_ns >= bars[0].open_ns && trade.executed_ns <= bars.at(-1).close_ns);
  return {
    traces: [candles, ...overlays, marks("buy", shown, colour.up, colour.card, step), marks("sell", shown, colour.down, colour.card, step)],
    layout: layout(colour, {
      uirevision: keep,
      xaxis: axis(colour, {
        type: "date",
        showgrid: false,
        rangeslider: { visible: false },
        anchor: below ? "y2" : "y",
        ...within(room),
      }),
      yaxis: axis(colour, { side: "right", domain: below ? [0.3, 1] : [0, 1], tickformat: ",.8~g", fixedrange: true }),
      yaxis2: axis(colour, { side: "right", domain: [0, 0.24], visible: below, tickformat: "~g", nticks: 4, fixedrange: true }),
    }),
    label: `Candlesticks of ${symbol}: ${bars.length} bars, the last close ${price(bars.at(-1)?.close, step)}, ${shown.length} trades`,
  };
}

function marks(side, all, colour, edge, step) {
  const trades = all.filter((trade) => trade.side === side);
  return {
    type: "scatter",
    mode: "markers",
    name: side,
    x: trades.map((trade) => trade.executed_ns / NS_PER_MS),
    y: trades.map((trade) => trade.price),
    text: trades.map((trade) => plain(`${trade.strategy} ${side} ${quantity(trade.quantity)} at ${price(trade.price, step)}`)),
    hovertemplate: "%{text}<extra></extra>",
    marker: { symbol: side === "buy" ? "triangle-up" : "triangle-down", size: 11, color: colour, line: { color: edge, width: 1.5 } },
  };
}

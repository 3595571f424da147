// Curves on a canvas: lines, dots, goals, a legend. No library.

const INK = "#9fb0c3";
const GRID = "#26303d";
const FONT = "11px system-ui, sans-serif";
const PAD = { left: 40, right: 10, top: 12, bottom: 20 };
export const COLOURS = { success: "#41c88a", human: "#ffb454", cycle: "#5aa9ff", faint: "#6b7c90" };
const MANY = ["#5aa9ff", "#ffb454", "#41c88a", "#d58cff", "#ff7f6b", "#9fb0c3"];

/** Return the mean over the last `window` of `values`, null entries left out. */
export function moving(values, window) {
  return values.map((_, i) => {
    const part = values.slice(Math.max(0, i - window + 1), i + 1).filter((value) => value != null);
    return part.length ? part.reduce((a, b) => a + b, 0) / part.length : null;
  });
}

/** Draw `chart {x, series, goals, low, high, unit, log, xlabel, empty}`; each series {name, y, colour, dots, dash, fill}. */
export function draw(canvas, chart) {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  g.font = FONT;
  const series = chart.series.filter((one) => one.y.some((value) => value != null));
  if (!series.length) return nothing(g, width, height, chart.empty ?? "Nothing to draw yet");
  const box = { x0: PAD.left, x1: width - PAD.right, y0: height - PAD.bottom, y1: PAD.top + 16 };
  const scale = scales(chart, series, box);
  grid(g, scale, box, chart);
  for (const goal of chart.goals ?? []) goal_line(g, goal, scale, box);
  g.save();
  g.beginPath();
  g.rect(box.x0 - 2, box.y1 - 4, box.x1 - box.x0 + 4, box.y0 - box.y1 + 6);
  g.clip();
  for (const one of series) (one.dots ? dots : line)(g, one, chart.x, scale, box);
  g.restore();
  legend(g, series, box);
}

function nothing(g, width, height, words) {
  g.fillStyle = COLOURS.faint;
  g.textAlign = "center";
  g.font = "13px system-ui, sans-serif";
  g.fillText(words, width / 2, height / 2);
}

function scales(chart, series, box) {
  const values = series.flatMap((one) => one.y.filter((value) => value != null && (!chart.log || value > 0)));
  const bend = chart.log ? Math.log10 : (value) => value;
  let low = bend(chart.low ?? Math.min(...values));
  let high = bend(chart.high ?? Math.max(...values));
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  if (chart.high == null) high += 0.06 * (high - low);
  const first = chart.x[0];
  const last = Math.max(chart.x[chart.x.length - 1], first + 1e-9);
  return {
    low, high, first, last, log: chart.log,
    x: (value) => box.x0 + ((value - first) / (last - first)) * (box.x1 - box.x0),
    y: (value) => box.y0 - ((bend(value) - low) / (high - low)) * (box.y0 - box.y1),
    at: (value) => box.y0 - ((value - low) / (high - low)) * (box.y0 - box.y1),
  };
}

/** Steps of 1, 2 or 5 times a power of ten, about `wanted` of them. */
export function ticks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? 10 * power;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + 1e-9 * step; value += step) found.push(value);
  return found;
}

function grid(g, scale, box, chart) {
  g.lineWidth = 1;
  g.strokeStyle = GRID;
  g.fillStyle = INK;
  g.textAlign = "right";
  g.textBaseline = "middle";
  const whole = scale.log && scale.high - scale.low > 1.5;
  const heights = whole ? ticks(Math.ceil(scale.low), Math.floor(scale.high), 3).filter(Number.isInteger) : ticks(scale.low, scale.high, 4);
  for (const value of heights) {
    const y = Math.round(scale.at(value)) + 0.5;
    g.beginPath();
    g.moveTo(box.x0, y);
    g.lineTo(box.x1, y);
    g.stroke();
    g.fillText(name_of(scale.log ? 10 ** value : value, chart.unit), box.x0 - 6, y);
  }
  g.textBaseline = "alphabetic";
  g.textAlign = "center";
  const places = ticks(scale.first, scale.last, 5).filter((value) => scale.x(value) < box.x1 - 60);
  for (const value of places) g.fillText(short(value), scale.x(value), box.y0 + 15);
  g.textAlign = "right";
  g.fillText(chart.xlabel ?? "", box.x1, box.y0 + 15);
}

function short(value) {
  return Math.abs(value) >= 10000 ? `${Math.round(value / 1000)}k` : String(Number(value.toPrecision(4)));
}

function name_of(value, unit) {
  if (unit === "%") return `${Math.round(100 * value)} %`;
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.01 || size >= 1e5)) return value.toExponential(0);
  return String(Number(value.toPrecision(3)));
}

function goal_line(g, { value, name }, scale, box) {
  const y = Math.round(scale.y(value)) + 0.5;
  g.strokeStyle = COLOURS.faint;
  g.setLineDash([5, 4]);
  g.beginPath();
  g.moveTo(box.x0, y);
  g.lineTo(box.x1, y);
  g.stroke();
  g.setLineDash([]);
  g.fillStyle = COLOURS.faint;
  g.textAlign = "right";
  g.fillText(name, box.x1, y - 4);
}

function line(g, { y, colour, dash, fill }, x, scale, box) {
  const known = y.map((value, i) => [x[i], value]).filter(([, value]) => value != null && (!scale.log || value > 0));
  const trace = () => {
    g.beginPath();
    known.forEach(([px, py], i) => (i ? g.lineTo(scale.x(px), scale.y(py)) : g.moveTo(scale.x(px), scale.y(py))));
  };
  if (fill && known.length > 1) {
    trace();
    g.lineTo(scale.x(known[known.length - 1][0]), box.y0);
    g.lineTo(scale.x(known[0][0]), box.y0);
    g.globalAlpha = 0.14;
    g.fillStyle = colour;
    g.fill();
    g.globalAlpha = 1;
  }
  trace();
  g.strokeStyle = colour;
  g.lineWidth = 2;
  g.lineJoin = "round";
  g.setLineDash(dash ?? []);
  g.stroke();
  g.setLineDash([]);
}

function dots(g, { y, colour, hollow }, x, scale) {
  g.globalAlpha = 0.55;
  y.forEach((value, i) => {
    if (value == null) return;
    g.beginPath();
    g.arc(scale.x(x[i]), scale.y(value), 2.2, 0, 7);
    g.strokeStyle = g.fillStyle = colour;
    g.lineWidth = 1;
    if (hollow) g.stroke();
    else g.fill();
  });
  g.globalAlpha = 1;
}

function legend(g, series, box) {
  let x = box.x0;
  g.textAlign = "left";
  for (const { name, colour, dots: round, dash } of series) {
    if (!name) continue;
    g.fillStyle = colour;
    if (round) {
      g.beginPath();
      g.arc(x + 6, PAD.top, 3, 0, 7);
      g.fill();
    } else for (const part of dash ? [0, 5, 10] : [0, 3, 6, 9]) g.fillRect(x + part, PAD.top - 2, dash ? 3 : 4, 3);
    g.fillStyle = INK;
    g.fillText(name, x + 17, PAD.top + 4);
    x += 17 + g.measureText(name).width + 14;
  }
}

// -- the charts of a run ----------------------------------------------------------------------------------------------

/** Return the chart called `kind` of the console's `metrics`, null before any. */
export function chart_of(kind, metrics) {
  if (kind === "losses") return losses(metrics?.learner?.history);
  if (kind === "values") return value(metrics?.values);
  const history = metrics?.history;
  const rows = (history?.phase ?? []).map((phase, i) => i).filter((i) => history.phase[i] === "train");
  const of = (name) => rows.map((i) => history[name][i]);
  const x = rows.map((i) => history.env_steps[i]);
  const window = metrics?.window ?? 20;
  if (kind === "cycle") {
    const solved = rows.map((i) => (history.success[i] ? history.steps[i] : null));
    const human = of("human");
    return {
      x, low: 0, xlabel: "env steps", empty: "No training episodes yet",
      series: [
        { name: "alone", y: solved.map((steps, i) => (human[i] ? null : steps)), colour: COLOURS.cycle, dots: true },
        { name: "with help", y: solved.map((steps, i) => (human[i] ? steps : null)), colour: COLOURS.human, dots: true, hollow: true },
        { name: "mean steps", y: moving(solved, window), colour: COLOURS.cycle },
      ],
    };
  }
  const human = of("human");
  const alone = of("success").map((success, i) => (success && !human[i] ? 1 : 0));
  return {
    x, low: 0, high: 1, unit: "%", xlabel: "env steps", empty: "No training episodes yet",
    goals: [{ value: 0.95, name: "" }, { value: 0.05, name: "" }],
    series: [
      { name: "human steps", y: moving_share(human, of("steps"), window), colour: COLOURS.human, fill: true },
      { name: "success", y: moving(of("success"), window), colour: COLOURS.success },
      { name: "without help", y: moving(alone, window), colour: COLOURS.success, dash: [3, 3], fill: true },
    ],
  };
}

function moving_share(shares, steps, window) {
  return shares.map((_, i) => {
    const from = Math.max(0, i - window + 1);
    const all = steps.slice(from, i + 1).reduce((a, b) => a + b, 0);
    return shares.slice(from, i + 1).reduce((sum, share, k) => sum + share * steps[from + k], 0) / Math.max(1, all);
  });
}

function losses(history) {
  const names = Object.keys(history?.losses ?? {}).filter((name) => name.endsWith("loss"));
  return {
    x: history?.updates ?? [], log: true, xlabel: "updates", empty: "The learner has not begun",
    series: names.slice(0, MANY.length).map((name, i) => ({
      name: name.replace(/_?loss$/, ""), y: history.losses[name].map((y) => (y == null ? null : Math.abs(y))), colour: MANY[i],
    })),
  };
}

function value(body) {
  const y = body?.values ?? [];
  const human = y.map((one, i) => (body.human?.[i] ? one : null));
  const name = body?.episode_id == null ? "value" : `value along episode #${body.episode_id}`;
  return {
    x: body?.steps ?? y.map((_, i) => i), xlabel: "step", empty: "The learner has judged no episode yet",
    series: [{ name, y, colour: "#d58cff" }, { name: "person drove", y: human, colour: COLOURS.human, dots: true }],
  };
}

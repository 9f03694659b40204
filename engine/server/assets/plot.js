// Small charts on canvases, in the colors of the page.

export const ink = {};
const NAMES = ["up", "down", "accent", "warn", "faint", "up-flash", "down-flash"];
function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of NAMES) ink[name] = style.getPropertyValue(`--${name}`).trim();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColors);
readColors();

// A canvas as large as it is shown, in device pixels; null where it is not shown.
function surface(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const scale = devicePixelRatio || 1;
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineWidth = 1.4;
  context.lineJoin = "round";
  return { context, width, height };
}

function scale(values, fromZero, height) {
  const low = fromZero ? 0 : Math.min(...values);
  const range = Math.max(...values) - low || 1;
  return (value) => height - 1.5 - (value - low) / range * (height - 3);
}

/** Lines over one scale, the newest value at the right; each is { values, color, filled }. */
export function plot(canvas, points, series, fromZero) {
  const on = surface(canvas);
  if (!on) return;
  const all = series.flatMap((one) => one.values.filter((value) => !Number.isNaN(value)));
  if (all.length < 2) return;
  const x = (index, length) => on.width - 1 - (length - 1 - index) * (on.width - 2) / (points - 1);
  const y = scale(all, fromZero, on.height);
  for (const { values, color, filled } of series) {
    const line = new Path2D();
    values.forEach((value, index) => {
      if (!Number.isNaN(value)) line.lineTo(x(index, values.length), y(value));
    });
    on.context.strokeStyle = on.context.fillStyle = color;
    on.context.stroke(line);
    if (!filled) continue;
    line.lineTo(x(values.length - 1, values.length), on.height);
    line.lineTo(x(0, values.length), on.height);
    on.context.globalAlpha = 0.16;
    on.context.fill(line);
    on.context.globalAlpha = 1;
  }
}

/** Values that hold until the next: each series is { points: [[ms, value]], color, width }. */
export function plotSteps(canvas, now, spanMs, series) {
  const on = surface(canvas);
  const all = series.flatMap(({ points }) => points.map(([, value]) => value));
  if (!on || all.length < 2) return;
  const x = (at) => on.width * (1 - (now - at) / spanMs);
  const y = scale(all, false, on.height);
  for (const { points, color, width } of series) {
    const line = new Path2D();
    let height = null;
    for (const [at, value] of points) {
      if (height !== null) line.lineTo(x(at), height);
      height = y(value);
      line.lineTo(x(at), height);
    }
    if (height !== null) line.lineTo(on.width, height);
    on.context.lineWidth = width;
    on.context.strokeStyle = color;
    on.context.stroke(line);
  }
}

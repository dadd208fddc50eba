// The map: a UMAP of genes or guides, drawn on a canvas.
const SHAPES = {
  o: "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z", s: "M-.9-.9H.9V.9H-.9Z", "^": "M0-1.2L1.1.9H-1.1Z",
  D: "M0-1.2L1.2 0 0 1.2-1.2 0Z", v: "M0 1.2L1.1-.9H-1.1Z", "<": "M-1.2 0L.9-1.1V1.1Z",
  ">": "M1.2 0L-.9-1.1V1.1Z", P: "M-.4-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z",
  X: "M-1-.5L-.5-1 0-.5 .5-1 1-.5 .5 0 1 .5 .5 1 0 .5-.5 1-1 .5-.5 0Z",
  "*": "M0-1.3L.3-.4 1.2-.4 .5.15 .8 1.05 0 .5-.8 1.05-.5.15-1.2-.4-.3-.4Z",
};
const PATHS = Object.fromEntries(Object.entries(SHAPES).map(([key, d]) => [key, new Path2D(d)]));
const CONTROL = ["#222222", "D"], OTHER = ["#b9bdc2", "o"];
const RAMP = [[0, 34, 78], [65, 77, 108], [124, 123, 120], [188, 175, 111], [253, 231, 55]]; // cividis

const canvas = $("map"), pen = canvas.getContext("2d");
let view = { k: 1, x: 0, y: 0 }, screenXY = new Float64Array(0), ranks = {};

const points = () => DATA[state.level];
const places = () => points().xy[state.space];
const groupOf = (i) => (points().ntc[i] ? NTC : DATA.group[points().gene[i]] || "");
const styleOf = (i) => (points().ntc[i] ? CONTROL : DATA.styles[groupOf(i)] || OTHER);
const rgb = (c) => `rgb(${c.map(Math.round).join()})`;

// The points of a chosen name; of a gene on the map of guides, all its guides.
function pointsOf(named) {
  if (!named) return [];
  const { level, name } = named, wanted = level === state.level ? name : geneOf(level, name);
  const names = level === "gene" && state.level === "guide" ? points().gene : points().name;
  return names.flatMap((each, i) => (each === wanted && !isNaN(screenXY[2 * i]) ? [i] : []));
}

// Rank of a point among the points of its level, 0 to 1: with ranks, outliers do not dominate the colours.
function rankOf(i) {
  const key = state.level + state.colour;
  if (!ranks[key]) {
    const values = points().distance[state.colour];
    const order = values.map((_, k) => k).sort((a, b) => values[a] - values[b]);
    ranks[key] = [];
    order.forEach((k, rank) => (ranks[key][k] = rank / Math.max(1, order.length - 1)));
  }
  return ranks[key][i];
}

function ramp(t) {
  const at = t * (RAMP.length - 1), k = Math.min(Math.floor(at), RAMP.length - 2);
  return rgb(RAMP[k].map((c, j) => c + (at - k) * (RAMP[k + 1][j] - c)));
}

function draw() {
  const ratio = window.devicePixelRatio || 1, { clientWidth: w, clientHeight: h } = canvas;
  canvas.width = w * ratio;
  canvas.height = h * ratio;
  place(w, h);
  const n = points().name.length, size = Math.max(1.6, Math.min(5.5, 90 / Math.sqrt(n)));
  const byRank = state.colour !== "group", first = [], last = [];
  for (let i = 0; i < n; i++) {
    if (!isNaN(screenXY[2 * i])) (byRank || groupOf(i) ? last : first).push(i);
  }
  const r = size * Math.sqrt(Math.min(view.k, 4));
  for (const i of first.concat(last)) {
    const [colour, marker] = byRank ? [ramp(rankOf(i)), points().ntc[i] ? "D" : "o"] : styleOf(i);
    pen.globalAlpha = state.group !== null && groupOf(i) !== state.group ? 0.08 : 0.85;
    mark(ratio, i, colour, marker, r);
  }
  pen.globalAlpha = 1;
  for (const named of [state.pinned, state.chosen]) {
    const rings = pointsOf(named), isPinned = named === state.pinned;
    // Of a gene on the map of guides, the rightmost ring has the name: it has room beside the others.
    const last = rings.reduce((a, i) => (a === null || screenXY[2 * i] > screenXY[2 * a] ? i : a), null);
    for (const i of rings) label(ratio, i, r, i !== last ? "" : rings.length > 1 ? named.name : points().name[i], isPinned);
  }
  if (state.at !== null) ring(ratio, state.at, r + 9);
}

function mark(ratio, i, colour, marker, r) {
  pen.setTransform(ratio * r, 0, 0, ratio * r, ratio * screenXY[2 * i], ratio * screenXY[2 * i + 1]);
  pen.fillStyle = colour;
  pen.fill(PATHS[marker]);
}

function ring(ratio, i, radius, isDashed = false) {
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.lineWidth = 2.5;
  pen.strokeStyle = "#222";
  pen.setLineDash(isDashed ? [4, 3] : []);
  pen.beginPath();
  pen.arc(screenXY[2 * i], screenXY[2 * i + 1], radius, 0, 7);
  pen.stroke();
  pen.setLineDash([]);
}

function label(ratio, i, r, text, isPinned) {
  ring(ratio, i, r + 5, isPinned);
  const x = screenXY[2 * i], y = screenXY[2 * i + 1];
  pen.font = "600 14px system-ui, 'DejaVu Sans', sans-serif";
  const right = x + r + 10 + pen.measureText(text).width < canvas.clientWidth;
  pen.textAlign = right ? "left" : "right";
  pen.textBaseline = "middle";
  pen.lineWidth = 4;
  pen.strokeStyle = "#fffd";
  const at = right ? x + r + 9 : x - r - 9;
  pen.strokeText(text, at, y);
  pen.fillStyle = "#222";
  pen.fillText(text, at, y);
}

// Positions of all points in px: the map fills the canvas; the view zooms and moves it.
function place(w, h) {
  const xy = places(), n = xy.length / 2, low = [Infinity, Infinity], high = [-Infinity, -Infinity];
  xy.forEach((value, k) => {
    if (value !== null) {
      low[k % 2] = Math.min(low[k % 2], value);
      high[k % 2] = Math.max(high[k % 2], value);
    }
  });
  const scale = Math.min((w - 48) / (high[0] - low[0] || 1), (h - 48) / (high[1] - low[1] || 1));
  screenXY = new Float64Array(2 * n);
  for (let k = 0; k < xy.length; k++) {
    const middle = (low[k % 2] + high[k % 2]) / 2, sign = k % 2 ? -1 : 1, half = (k % 2 ? h : w) / 2;
    const flat = xy[k] === null ? NaN : sign * scale * (xy[k] - middle);
    screenXY[k] = half + view.k * flat + (k % 2 ? view.y : view.x);
  }
}

function legend() {
  if (state.colour !== "group") {
    const values = points().distance[state.colour].filter((value) => value !== null);
    const bar = element("div", "", { className: "bar" });
    bar.style.background = `linear-gradient(to right, ${RAMP.map(rgb).join()})`;
    const [low, high] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    $("legend").replaceChildren(element("span", distanceWords(low)), bar, element("span", `${distanceWords(high)} (by rank)`));
    return;
  }
  const names = new Map(Object.entries(DATA.styles));
  names.set("", OTHER);
  if (points().ntc.includes(1)) names.set(NTC, CONTROL);
  $("legend").replaceChildren(...[...names].map(([name, [colour, marker]]) => {
    const button = element("button", "", { type: "button", ariaPressed: String(state.group === name) });
    button.innerHTML = `<svg viewBox="-1.3 -1.3 2.6 2.6" aria-hidden="true"><path d="${SHAPES[marker]}" fill="${colour}"/></svg>`;
    button.append(element("span", name || "no group"));
    button.onclick = () => {
      state.group = state.group === name ? null : name;
      legend();
      draw();
    };
    return button;
  }));
}

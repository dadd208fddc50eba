"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
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
const SPACES = Object.keys(DATA.gene.xy);
// Replace words with those of the screen: genes may be compounds.
const say = (text) => text.replace(/\b(gene|guide|NTC)(s?)\b/g, (_, word, s) => DATA.words[word] + s);
const LEVELS = { gene: say("genes"), guide: say("guides") };
const NTC = say("control (NTC)"), NEAREST = "nearest";
const state = { level: "gene", space: SPACES[0], colour: "group", group: null, chosen: null };
let view = { k: 1, x: 0, y: 0 }, screenXY = new Float64Array(0), ranks = {};

const canvas = $("map"), pen = canvas.getContext("2d");
const points = () => DATA[state.level];
const places = () => points().xy[state.space];
const groupOf = (i) => (points().ntc[i] ? NTC : DATA.group[points().gene[i]] || "");
const styleOf = (i) => (points().ntc[i] ? CONTROL : DATA.styles[groupOf(i)] || OTHER);
const rgb = (c) => `rgb(${c.map(Math.round).join()})`;

function element(tag, text, attributes = {}) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.textContent = text;
  return made;
}

// The chosen point, or all guides of a chosen gene on the map of guides.
function chosenPoints() {
  if (!state.chosen) return [];
  const { level, name } = state.chosen, wanted = level === state.level ? name : geneOf(level, name);
  const names = level === "gene" && state.level === "guide" ? points().gene : points().name;
  return names.flatMap((each, i) => (each === wanted && !isNaN(screenXY[2 * i]) ? [i] : []));
}

function geneOf(level, name) {
  return level === "gene" ? name : DATA.guide.gene[DATA.guide.name.indexOf(name)];
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
  chosenPoints().forEach((i, k, all) => label(ratio, i, r, all.length > 1 ? "" : points().name[i]));
}

function mark(ratio, i, colour, marker, r) {
  pen.setTransform(ratio * r, 0, 0, ratio * r, ratio * screenXY[2 * i], ratio * screenXY[2 * i + 1]);
  pen.fillStyle = colour;
  pen.fill(PATHS[marker]);
}

function label(ratio, i, r, text) {
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const x = screenXY[2 * i], y = screenXY[2 * i + 1];
  pen.lineWidth = 2.5;
  pen.strokeStyle = "#222";
  pen.beginPath();
  pen.arc(x, y, r + 5, 0, 7);
  pen.stroke();
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

function nearest(x, y) {
  let best = -1, least = 144;
  for (let i = 0; i < screenXY.length / 2; i++) {
    const d = (screenXY[2 * i] - x) ** 2 + (screenXY[2 * i + 1] - y) ** 2;
    if (d < least && (state.group === null || groupOf(i) === state.group)) [best, least] = [i, d];
  }
  return best;
}

function facts(level, i) {
  const columns = DATA[level], lines = [];
  if (level === "guide") lines.push([say("gene"), columns.gene[i]]);
  lines.push(["group", (columns.ntc[i] && NTC) || DATA.group[columns.gene[i]] || "none"]);
  if (level === "gene") lines.push([LEVELS.guide, DATA.guide.gene.filter((g) => g === columns.name[i]).length]);
  lines.push(["cells", columns.n[i].toLocaleString("en")]);
  for (const space of SPACES) {
    const value = columns.distance[space][i];
    lines.push([say(`distance from NTC, ${space}`), value === null ? "none" : value.toPrecision(3)]);
  }
  return lines.concat(DATA.hits[columns.name[i]] || (!columns.ntc[i] && DATA.hits[columns.gene[i]]) || []);
}

function showTip(i, x, y) {
  const tip = $("tip");
  tip.hidden = i < 0;
  canvas.style.cursor = i < 0 ? "crosshair" : "pointer";
  if (i < 0) return;
  const lines = facts(state.level, i).map(([word, value]) => `${word}: ${value}`);
  tip.textContent = [points().name[i], ...lines].join("\n");
  tip.style.left = `${Math.max(4, Math.min(x + 14, canvas.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > canvas.clientHeight ? y - tip.offsetHeight - 10 : y + 18}px`;
}

function choose(level, name, asked = true) {
  state.chosen = { level, name };
  $("problem").textContent = "";
  $("search").value = name;
  showDetails(level, DATA[level].name.indexOf(name));
  remember();
  draw();
  showRows();
  // In one column the crops are below the map: a tap has to show them.
  if (asked && matchMedia("(max-width: 1000px)").matches) $("details").scrollIntoView({ behavior: "smooth" });
}

function showDetails(level, i) {
  const name = DATA[level].name[i], gene = DATA[level].gene[i], list = element("dl", "");
  for (const [word, value] of facts(level, i)) {
    const fact = element("dd", value);
    // One can walk from neighbour to neighbour.
    if (word === NEAREST && value) fact.replaceChildren(...value.split("; ").map(chooser));
    list.append(element("dt", word), fact);
  }
  const parts = [element("h2", level === "gene" ? name : `${say("guide")} ${name}`), list];
  if (DATA.montages[gene]) parts.push(...montage(gene, level === "guide" ? i : null));
  else parts.push(element("p", "No picture: control crops are shown in the lower half of the picture of each gene."));
  $("details").replaceChildren(...parts);
}

function search(text, asked = true) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return;
  for (const fits of [
    (name) => name.toLowerCase() === wanted,
    (name) => name.toLowerCase().split("&").includes(wanted),
    (name) => name.toLowerCase().startsWith(wanted),
  ]) {
    for (const level of ["gene", "guide"]) {
      const name = DATA[level].name.find(fits);
      if (name !== undefined) return choose(level, name, asked);
    }
  }
  $("problem").textContent = `${say("No gene or guide is called")} ${text.trim()}.`;
}

function remember() {
  const parts = { space: state.space, level: state.level, colour: state.colour };
  if (state.chosen) parts[state.chosen.level === "gene" ? "gene" : "guide"] = state.chosen.name;
  location.hash = new URLSearchParams(parts);
}

function recall() {
  const parts = new URLSearchParams(location.hash.slice(1));
  if (SPACES.includes(parts.get("space"))) state.space = parts.get("space");
  if (parts.get("level") in LEVELS) state.level = parts.get("level");
  if (["group", ...SPACES].includes(parts.get("colour"))) state.colour = parts.get("colour");
  const name = parts.get("gene") || parts.get("guide");
  sync();
  draw();
  if (name && (!state.chosen || state.chosen.name !== name)) search(name, false);
}

function buttons(id, values, words) {
  for (const value of values) {
    const input = element("input", "", { type: "radio", name: id, value, checked: state[id] === value });
    const wrapper = element("label", "");
    wrapper.append(input, element("span", words(value)));
    $(id).append(wrapper);
  }
}

function sync() {
  for (const input of document.querySelectorAll("input[type=radio]")) {
    input.checked = state[input.name] === input.value;
  }
  $("colour").value = state.colour;
  const n = points().name.length;
  canvas.setAttribute("aria-label", `UMAP of ${n} ${LEVELS[state.level]}, ${state.space} space`);
  legend();
}

function legend() {
  if (state.colour !== "group") {
    const values = points().distance[state.colour].filter((value) => value !== null);
    const bar = element("div", "", { className: "bar" });
    bar.style.background = `linear-gradient(to right, ${RAMP.map(rgb).join()})`;
    const [low, high] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    $("legend").replaceChildren(element("span", low.toPrecision(3)), bar, element("span", `${high.toPrecision(3)} (by rank)`));
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

function start() {
  buttons("level", Object.keys(LEVELS), (level) => LEVELS[level]);
  buttons("space", SPACES, (space) => space);
  $("colour").append(element("option", "functional group", { value: "group" }));
  for (const space of SPACES) {
    $("colour").append(element("option", say(`distance from NTC, ${space}`), { value: space }));
  }
  $("names").append(...DATA.gene.name.map((value) => element("option", "", { value })));
  $("controls").addEventListener("change", (event) => {
    if (event.target.id === "search") return search(event.target.value);
    state[event.target.name || event.target.id] = event.target.value;
    state.group = null;
    showTip(-1);
    sync();
    remember();
    draw();
  });
  $("reset").onclick = () => zoomTo({ k: 1, x: 0, y: 0 });
  window.addEventListener("resize", draw);
  window.addEventListener("hashchange", recall);
  $("filter").addEventListener("input", showRows);
  sortRows();
  showHeads();
  showRows();
  pointers();
  recall();
  // Without a name in the address, the page opens with the strongest hit.
  if (!state.chosen && DATA.table.name.length) search(DATA.table.name[sorted[0]], false);
}

let waiting = false;
function zoomTo(next) {
  view = next;
  showTip(-1);
  if (!waiting) requestAnimationFrame(() => { waiting = false; draw(); });
  waiting = true;
}

function pointers() {
  let held = null, moved = false;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const k = Math.max(1, Math.min(60, view.k * Math.exp(-event.deltaY / 300))), f = k / view.k;
    const x = event.offsetX - canvas.clientWidth / 2, y = event.offsetY - canvas.clientHeight / 2;
    zoomTo({ k, x: x - f * (x - view.x), y: y - f * (y - view.y) });
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    held = { x: event.offsetX - view.x, y: event.offsetY - view.y, at: [event.offsetX, event.offsetY] };
    moved = false;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const { offsetX: x, offsetY: y } = event;
    if (held && (moved || Math.hypot(x - held.at[0], y - held.at[1]) > 3)) {
      moved = true;
      return zoomTo({ k: view.k, x: x - held.x, y: y - held.y });
    }
    showTip(nearest(x, y), x, y);
  });
  canvas.addEventListener("pointerup", (event) => {
    const i = moved ? -1 : nearest(event.offsetX, event.offsetY);
    held = null;
    if (i >= 0) choose(state.level, points().name[i]);
  });
  canvas.addEventListener("pointerleave", () => showTip(-1));
}

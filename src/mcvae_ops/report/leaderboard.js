// The representations of one screen, on one column per task or along the ladder of one task; or of all screens.
const $ = (id) => document.getElementById(id), OVERVIEW = "", EVERY = "every";
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222"];
const HELD_OUT = ["held-out cells", "held-out cells, other plates", "held-out cells, other batches"];
const order = { by: OVERVIEW, down: false };

function element(tag, text = "", properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: text }, properties);
}

const board = () => DATA.boards[$("board").value];
const isEvery = () => $("board").value === EVERY;
// The space is named where a model has several.
const titled = (one) => (one.has_spaces ? `${one.name}, ${one.space}` : one.name);

// A few words in lines that are no longer than a column of the ladder.
function lines(words, length = 15) {
  const found = [""];
  for (const word of words.split(" ")) {
    if (found.at(-1) && found.at(-1).length + word.length >= length) found.push("");
    found.push(`${found.pop()} ${word}`.trim());
  }
  return found;
}
const number = (value, digits = 3) => (value === null || value === undefined ? "" : value.toFixed(digits).replace("-", "−"));
const signed = (value) => (value > 0 ? "+" : "") + number(value);

// Of each task the hardest distance that most representations were asked: held-out cells, if there are any.
function shownTasks() {
  const tasks = Object.entries(board().tasks), chosen = $("family").value;
  if (chosen !== OVERVIEW) return tasks.filter(([, task]) => task.family === chosen);
  const families = [...new Set(tasks.map(([, task]) => task.family))];
  return families.map((family) => {
    const own = tasks.filter(([, task]) => task.family === family);
    const fit = (words) => own.find(([, task]) => task.rung === words || task.rung.startsWith(`${words}, `) || task.rung.endsWith(words));
    return HELD_OUT.map(fit).find(Boolean) ?? own[0];
  });
}

function sortedRows() {
  const value = (one) => (order.by === OVERVIEW ? one.place : one.scores[order.by]?.value), sign = order.down ? -1 : 1;
  const missing = (v) => v === null || v === undefined;
  return [...board().representations].sort((a, b) => {
    const [u, v] = [value(a), value(b)];
    return missing(u) || missing(v) ? missing(u) - missing(v) : sign * (u - v);
  });
}

function head(by, text, note) {
  const cell = element("th"), button = element("button", text, { type: "button" });
  if (order.by === by) {
    button.textContent += order.down ? " ▼" : " ▲";
    cell.ariaSort = order.down ? "descending" : "ascending";
  }
  button.onclick = () => {
    const first = by !== OVERVIEW && DATA.families[board().tasks[by].family].higher_is_better;
    Object.assign(order, { by, down: order.by === by ? !order.down : first });
    show();
  };
  cell.append(button, element("span", note, { className: "detail" }));
  return cell;
}

function nameCell(one) {
  const cell = element("td", titled(one));
  if (one.flags.length) cell.append(element("br"));
  for (const flag of one.flags) cell.append(element("span", flag, { className: `flag ${flag}` }));
  return cell;
}

// The mean place of a representation on a screen; below it on how many tasks it is better than every shortcut, or worse.
function placeCell(one) {
  const cell = element("td");
  if (!one) return cell;
  cell.append(element("span", one.place === null ? "not ranked" : `${Math.round(100 * one.place)} %`, { className: "score" }));
  const { above, open, below } = one.against, n = above + open + below;
  if (one.is_control || !n) return cell;
  const tally = element("span", "", { className: "tally" });
  for (const [name, count] of Object.entries(one.against)) {
    const part = element("i", "", { className: name });
    part.style.width = `${(100 * count) / n}%`;
    tally.append(part);
  }
  cell.append(tally, element("span", `${above} better, ${below} worse, of ${n}`, { className: "detail tallied" }));
  return cell;
}

// Lines of ranks from one distance to the next, the best above; ties in the order of the table.
function drawLadder(tasks, rows) {
  const ranked = rows.filter((one) => one.place !== null && tasks.some(([key]) => one.scores[key]));
  $("climb").hidden = $("family").value === OVERVIEW || isEvery() || tasks.length < 2 || ranked.length < 2;
  if ($("climb").hidden) return;
  const higher = DATA.families[tasks[0][1].family].higher_is_better, step = Math.max(96, Math.min(150, 900 / tasks.length));
  const left = 200, line = 20, top = 22 + 15 * Math.max(...tasks.map(([, task]) => lines(task.rung).length)), places = new Map(ranked.map((one) => [one, []]));
  tasks.forEach(([key], x) => {
    const there = ranked.filter((one) => one.scores[key]).sort((a, b) => (higher ? 1 : -1) * (b.scores[key].value - a.scores[key].value));
    there.forEach((one, rank) => places.get(one).push([left + x * step, top + rank * line]));
  });
  const svg = (tag, properties, text = "") => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(properties)) one.setAttribute(name, value);
    one.textContent = text;
    return one;
  };
  const width = left + (tasks.length - 1) * step + 260, parts = [];
  tasks.forEach(([, task], x) => lines(task.rung).forEach((words, k) => parts.push(svg("text", { x: left + x * step, y: 14 + 15 * k, "text-anchor": "middle", class: "axis" }, words))));
  const models = ranked.filter((one) => !one.is_control).sort((a, b) => a.place - b.place);
  for (const [one, dots] of places) {
    const nth = models.indexOf(one), colour = one.is_control ? "#6b7280" : COLOURS[nth] ?? "#b9bdc2";
    const stroke = { fill: "none", stroke: colour, "stroke-width": nth >= 0 && nth < COLOURS.length ? 2.5 : 1.5 };
    if (one.is_control) stroke["stroke-dasharray"] = "5 4";
    parts.push(svg("polyline", { points: dots.map((dot) => dot.join()).join(" "), ...stroke }));
    dots.forEach(([cx, cy]) => parts.push(svg("circle", { cx, cy, r: 3.5, fill: colour })));
    const slant = one.is_control ? { "font-style": "italic" } : {};
    for (const [[x, y], by, anchor] of [[dots[0], -10, "end"], [dots.at(-1), 10, "start"]]) {
      parts.push(svg("text", { x: x + by, y: y + 4, "text-anchor": anchor, ...slant }, titled(one)));
    }
  }
  $("ladder").replaceChildren(...parts);
  for (const [name, value] of Object.entries({ width, height: top + ranked.length * line, "aria-label": `Ranks of ${ranked.length} representations` })) $("ladder").setAttribute(name, value);
}

// Every representation on every screen, by the mean of its places.
function showEvery() {
  const rows = new Map();
  DATA.boards.forEach(({ representations }, k) => representations.forEach((one) => {
    const row = rows.get(titled(one)) ?? { one, on: [] };
    row.on[k] = one;
    rows.set(titled(one), row);
  }));
  for (const row of rows.values()) {
    const places = row.on.filter((one) => one && one.place !== null).map((one) => one.place);
    row.mean = places.length === DATA.boards.length ? places.reduce((a, b) => a + b) / places.length : null;
  }
  const heads = element("tr"), sorted = [...rows.values()].sort((a, b) => (a.mean ?? 2) - (b.mean ?? 2));
  heads.append(...["Representation", "Mean place (0 % is first)", ...DATA.boards.map(({ screen }) => screen)].map((text) => element("th", text)));
  $("heads").replaceChildren(heads);
  $("rows").replaceChildren(...sorted.map(({ one, on, mean }) => {
    const row = element("tr", "", { className: one.is_control ? "control" : "" });
    const flags = [...new Set(on.filter(Boolean).flatMap((of) => of.flags))];
    row.append(nameCell({ ...one, flags }), element("td", mean === null ? "" : `${Math.round(100 * mean)} %`, { className: "score" }));
    row.append(...DATA.boards.map((_, k) => placeCell(on[k])));
    return row;
  }));
  $("about").textContent = `${rows.size} representations on ${DATA.boards.length} screens, by the mean of their places; one that is not ranked on every screen has none.`;
}

function scoreCell(score) {
  const cell = element("td");
  if (!score) return cell;
  cell.append(element("span", number(score.value), { className: "score" }));
  const detail = (text) => cell.append(element("span", text, { className: "detail" }));
  if (score.low !== null) detail(`${number(score.low)} to ${number(score.high)}`);
  if (score.excess !== undefined) {
    detail(`${signed(score.excess)} over ${score.shortcut.replaceAll("_", " ")}`);
    if (score.excess_low > 0) cell.className = "above";
    if (score.excess_high !== null && score.excess_high < 0) cell.className = "below";
  }
  if (score.rank !== null) detail(`rank ${score.rank}`);
  return cell;
}

function show() {
  for (const id of ["families", "made-of", "climb"]) $(id).hidden = isEvery();
  if (isEvery()) return showEvery();
  const tasks = shownTasks(), rows = sortedRows(), heads = element("tr");
  heads.append(element("th", "Representation"), head(OVERVIEW, "Mean place", "all tasks; against shortcuts"));
  for (const [key, task] of tasks) {
    const overview = $("family").value === OVERVIEW, title = DATA.families[task.family].title;
    heads.append(head(key, overview ? title : task.rung, overview ? task.rung : ""));
  }
  $("heads").replaceChildren(heads);
  $("rows").replaceChildren(...rows.map((one) => {
    const row = element("tr", "", { className: one.is_control ? "control" : "" });
    row.append(nameCell(one), placeCell(one));
    for (const [key] of tasks) row.append(scoreCell(one.scores[key]));
    return row;
  }));
  const { screen, split, cards, representations } = board();
  $("about").textContent = `Screen ${screen}: ${representations.length} representations from ${cards.length} ${cards.length > 1 ? "cards" : "card"}; hash of cells and split ${split}.`;
  drawLadder(tasks, rows);
  showContents(rows);
}

function showContents(rows) {
  const items = ["batch", "density", "position", "control guides", "genes"];
  const [top, body] = [$("made").tHead, $("made").tBodies[0]], heads = element("tr");
  heads.append(element("th", "Representation"), ...items.map((item) => element("th", item)), element("th", "Kind"));
  top.replaceChildren(heads);
  body.replaceChildren(...rows.map((one) => {
    const row = element("tr");
    row.append(nameCell(one));
    for (const item of items) {
      const cell = element("td"), share = one.made_of[item]?.value;
      if (share !== undefined && share !== null) {
        const bar = element("span", "", { className: "bar" });
        bar.style.width = `${Math.max(0, Math.min(1, share)) * 90}px`;
        cell.append(bar, `${Math.round(100 * share)} %`.replace("-", "−"));
      }
      row.append(cell);
    }
    row.append(element("td", [one.kind, one.licence, one.sha256 && `SHA-256 ${one.sha256.slice(0, 12)}`].filter(Boolean).join(", ")));
    return row;
  }));
}

function showFamilies() {
  if (isEvery()) return;
  const chosen = $("family").value, own = new Set(Object.values(board().tasks).map((task) => task.family));
  const families = Object.entries(DATA.families).filter(([name]) => own.has(name));
  $("family").replaceChildren(
    element("option", "all, one column each", { value: OVERVIEW }),
    ...families.map(([name, family]) => element("option", `${family.title}: at every distance`, { value: name })),
  );
  $("family").value = own.has(chosen) ? chosen : OVERVIEW;
  if (order.by !== OVERVIEW && !(order.by in board().tasks)) Object.assign(order, { by: OVERVIEW, down: false });
}

$("board").replaceChildren(...DATA.boards.map(({ screen, split }, k) => element("option", `${screen} (${split.slice(0, 6)})`, { value: k })));
if (DATA.boards.length > 1) $("board").prepend(element("option", "all screens", { value: EVERY, selected: true }));
$("board").onchange = () => { showFamilies(); show(); };
$("family").onchange = show;
if (DATA.boards.length) {
  showFamilies();
  show();
}

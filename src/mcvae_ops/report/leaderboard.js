// One board at a time: the representations of one screen, on one column per task or along the ladder of one task.
const $ = (id) => document.getElementById(id), OVERVIEW = "";
const HELD_OUT = ["held-out cells", "held-out cells, other plates", "held-out cells, other batches"];
const order = { by: OVERVIEW, down: false };

function element(tag, text = "", properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: text }, properties);
}

const board = () => DATA.boards[$("board").value];
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
  const cell = element("td", `${one.name}, ${one.space}`);
  if (one.flags.length) cell.append(element("br"));
  for (const flag of one.flags) cell.append(element("span", flag, { className: `flag ${flag}` }));
  return cell;
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
  const tasks = shownTasks(), rows = sortedRows(), heads = element("tr");
  heads.append(element("th", "Representation"), head(OVERVIEW, "Mean place", "all tasks"));
  for (const [key, task] of tasks) {
    const overview = $("family").value === OVERVIEW, title = DATA.families[task.family].title;
    heads.append(head(key, overview ? title : task.rung, overview ? task.rung : ""));
  }
  $("heads").replaceChildren(heads);
  $("rows").replaceChildren(...rows.map((one) => {
    const row = element("tr", "", { className: one.is_control ? "control" : "" });
    row.append(nameCell(one), element("td", one.place === null ? "not ranked" : `${Math.round(100 * one.place)} %`));
    for (const [key] of tasks) row.append(scoreCell(one.scores[key]));
    return row;
  }));
  const { screen, split, cards, representations } = board();
  $("about").textContent = `Screen ${screen}: ${representations.length} representations from ${cards.length} ${cards.length > 1 ? "cards" : "card"}; hash of cells and split ${split}.`;
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
$("board").onchange = () => { showFamilies(); show(); };
$("family").onchange = show;
if (DATA.boards.length) {
  showFamilies();
  show();
}

// What the page shows, where it is kept (the address), and how it is chosen.
const SPACES = Object.keys(DATA.gene.xy);
const LEVELS = { gene: say("genes"), guide: say("guides") };
const NTC = say("control (NTC)");
// chosen and pinned are {level, name}: what the two panels show. at: the point under the keyboard.
const state = { level: "gene", space: SPACES[0], colour: "group", group: null, chosen: null, pinned: null, at: null };

// A button that chooses a gene or guide by its name.
function chooser(name) {
  const button = element("button", name, { type: "button" });
  button.onclick = () => search(name);
  return button;
}

function geneOf(level, name) {
  return level === "gene" ? name : DATA.guide.gene[DATA.guide.name.indexOf(name)];
}

const nameCell = chooser;
const isShown = (name) => [state.chosen?.name, state.pinned?.name].includes(name);

// A distance from the controls, with its unit.
function distanceWords(value) {
  if (value === null) return "none";
  return DATA.multiples ? `${value.toPrecision(2)} × ${say("NTC")}` : value.toPrecision(3);
}

function choose(level, name, asked = true) {
  state.chosen = { level, name };
  $("problem").textContent = "";
  $("search").value = name;
  showAll();
  if (asked) reveal($("details"));
}

// Keep a gene or guide beside the next ones that are chosen; null keeps none.
function pin(named) {
  state.pinned = named;
  showAll();
}

function showAll() {
  showPanels();
  remember();
  draw();
  drawSimilarity();
  showRows();
}

// Scroll to what a click has changed, if it is out of sight.
function reveal(place) {
  const top = place.getBoundingClientRect().top, still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (top < 0 || top > 0.6 * innerHeight) place.scrollIntoView({ behavior: still ? "auto" : "smooth" });
}

// The gene or guide that a text names: whole, one of merged genes, or its beginning; or undefined.
function named(text) {
  const wanted = text.trim().toLowerCase();
  for (const fits of [
    (name) => name.toLowerCase() === wanted,
    (name) => name.toLowerCase().split("&").includes(wanted),
    (name) => name.toLowerCase().startsWith(wanted),
  ]) {
    for (const level of ["gene", "guide"]) {
      const name = DATA[level].name.find(fits);
      if (name !== undefined) return { level, name };
    }
  }
}

function search(text, asked = true) {
  if (!text.trim()) return;
  const found = named(text);
  if (found) choose(found.level, found.name, asked);
  else $("problem").textContent = `${say("No gene or guide is called")} ${text.trim()}.`;
}

function remember() {
  const parts = { space: state.space, level: state.level, colour: state.colour };
  if (state.chosen) parts[state.chosen.level] = state.chosen.name;
  if (state.pinned) parts.beside = state.pinned.name;
  location.hash = new URLSearchParams(parts);
}

function recall() {
  const parts = new URLSearchParams(location.hash.slice(1)), beside = parts.get("beside");
  if (SPACES.includes(parts.get("space"))) state.space = parts.get("space");
  if (parts.get("level") in LEVELS) state.level = parts.get("level");
  if (["group", ...SPACES].includes(parts.get("colour"))) state.colour = parts.get("colour");
  const name = parts.get("gene") || parts.get("guide");
  sync();
  draw();
  const pinned = (beside && named(beside)) || null, changed = pinned?.name !== state.pinned?.name;
  state.pinned = pinned;
  if (name && (changed || state.chosen?.name !== name)) search(name, false);
  else if (changed) showAll();
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
  const what = `${points().name.length} ${LEVELS[state.level]}, ${state.space} space`;
  canvas.setAttribute("aria-label", `UMAP of ${what}. Arrow keys move between points, Enter shows crops.`);
  legend();
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
    state.group = state.at = null;
    showTip(-1);
    sync();
    remember();
    draw();
  });
  $("reset").onclick = () => zoomTo(WHOLE);
  window.addEventListener("resize", () => { draw(); drawSimilarity(); });
  window.addEventListener("hashchange", recall);
  zoomTo(WHOLE);
  cropTools();
  largeCrops();
  similarityInput();
  hitTable();
  $("save-table").onclick = saveTable;
  pointers();
  keys();
  recall();
  // Without a name in the address, the page opens with the strongest hit.
  if (!state.chosen && DATA.table.name.length) search(DATA.table.name[sorted[0]], false);
}

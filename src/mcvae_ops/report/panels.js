// What is known of a gene or guide: under the mouse in a few lines, and in a panel with its crops.
const NEAREST = "nearest";

function facts(level, i) {
  const columns = DATA[level], lines = [];
  if (level === "guide") lines.push([say("gene"), columns.gene[i]]);
  lines.push(["group", (columns.ntc[i] && NTC) || DATA.group[columns.gene[i]] || "none"]);
  if (level === "gene") lines.push([LEVELS.guide, DATA.guide.gene.filter((g) => g === columns.name[i]).length]);
  lines.push(["all cells", columns.n[i].toLocaleString("en")]);
  for (const space of SPACES) lines.push([say(`distance from NTC, ${space}`), distanceWords(columns.distance[space][i])]);
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
  tip.style.top = `${y + 18 + tip.offsetHeight > canvas.clientHeight ? Math.max(4, y - tip.offsetHeight - 10) : y + 18}px`;
}

function showPanels() {
  document.body.classList.toggle("pair", state.pinned !== null);
  $("pinned").hidden = state.pinned === null;
  fillPanel("details", state.chosen);
  fillPanel("pinned", state.pinned);
}

function fillPanel(id, shown) {
  const panel = $(id), key = shown && `${shown.level} ${shown.name}`;
  const isNew = panel.dataset.key !== key;
  if (!shown) {
    delete panel.dataset.key;
    if (id === "pinned") panel.replaceChildren();
    delete montages[id];
    return;
  }
  if (!isNew) return panel.querySelector(".head button").replaceWith(pinButton(id, shown));
  const { level, name } = shown, i = DATA[level].name.indexOf(name), gene = DATA[level].gene[i];
  const head = element("div", "", { className: "head" });
  head.append(element("h2", level === "gene" ? name : `${say("guide")} ${name}`), pinButton(id, shown));
  const parts = [head, factList(level, i), ...alteredFeatures(DATA.altered[name] || DATA.altered[gene])];
  const given = DATA.counterfactuals[gene];
  panel.replaceChildren(...parts);
  panel.dataset.key = key;
  delete panel.dataset.shown;
  if (DATA.montages[gene]) panel.append(...montage(id, gene, level === "guide" ? i : null));
  else if (DATA.channels.length) panel.append(element("p", say("No picture of its own: the lower half of the picture of each gene shows control crops.")));
  if (given) panel.append(...givenState(gene, given));
}

// Controls that are given the salient state of the gene, beside cells as they are.
function givenState(gene, { pictures, words }) {
  const title = say(`NTC with the salient state of ${gene}`), shown = element("div", "", { className: "given" });
  shown.append(...pictures.map((src, k) => {
    const figure = element("figure", ""), kind = say(DATA.kinds[k]);
    figure.append(element("img", "", { src, alt: kind }), element("figcaption", kind));
    return figure;
  }));
  return [element("h3", title), shown, element("p", say(words), { className: "faint" })];
}

function pinButton(id, shown) {
  const words = id === "pinned" ? "Remove" : state.pinned ? "Keep" : "Keep to compare";
  const button = element("button", words, { type: "button" });
  button.hidden = id === "details" && state.pinned?.name === shown.name;
  button.onclick = () => pin(id === "pinned" ? null : shown);
  return button;
}

function factList(level, i) {
  const list = element("dl", ""), gene = DATA[level].gene[i];
  for (const [word, value] of facts(level, i)) {
    const fact = element("dd", value);
    // One can walk from neighbour to neighbour.
    if (word === NEAREST && value) fact.replaceChildren(...value.split("; ").map(chooser));
    list.append(element("dt", word), fact);
  }
  const pages = Object.entries(DATA.pages);
  if (pages.length && !DATA[level].ntc[i]) {
    const links = element("dd", "");
    for (const symbol of gene.split("&")) {
      for (const [page, address] of pages) {
        links.append(element("a", `${symbol} in ${page}`, { href: address + encodeURIComponent(symbol), rel: "noopener" }), " ");
      }
    }
    list.append(element("dt", "elsewhere"), links);
  }
  return list;
}

// words, z, words, z, ...
function alteredFeatures(changes) {
  if (!changes) return [];
  const list = element("ul", "", { className: "altered" });
  for (let k = 0; k < changes.length; k += 2) {
    const z = changes[k + 1], item = element("li", `${changes[k]} `);
    item.append(element("b", `${z > 0 ? "+" : "−"}${Math.abs(z)}`));
    list.append(item);
  }
  return [element("h3", "Most altered features (robust z)"), list];
}

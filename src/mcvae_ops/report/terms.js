// Words of the glossary are explained where they first stand in a section: on hover, on focus, on tap.
// Elements of the page may carry words of their own: class "term", tabindex 0 and data-words.
const NOT_IN = "a, button, summary, h1, h2, h3, label, script, style, pre, .term, .verdict, .grade";
const tip = Object.assign(document.createElement("div"), { id: "tip", role: "tooltip", hidden: true });

function markTerms(sentences) {
  const known = new Map(Object.entries(sentences));
  for (const [word, sentence] of Object.entries(sentences)) known.set(word[0].toUpperCase() + word.slice(1), sentence);
  const longestFirst = [...known.keys()].sort((a, b) => b.length - a.length);
  const literal = longestFirst.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const anyWord = new RegExp(`(?<![\\w-])(${literal.join("|")})(?:e?s)?(?![\\w-])`, "g");
  const nodes = [], walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_ALL);
  let heading = null;
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.nodeName === "H2") heading = node;
    if (node.nodeType === Node.TEXT_NODE && !node.parentElement.closest(NOT_IN)) {
      nodes.push([node, node.parentElement.closest("details, figure") ?? heading]);
    }
  }
  const explained = new Map();
  for (const [node, section] of nodes) {
    if (!explained.has(section)) explained.set(section, new Set());
    const done = explained.get(section), parts = [];
    let end = 0;
    for (const found of node.data.matchAll(anyWord)) {
      const sentence = known.get(found[1]);
      if (done.has(sentence)) continue;
      done.add(sentence);
      const term = Object.assign(document.createElement("dfn"), { className: "term", tabIndex: 0, textContent: found[0] });
      term.dataset.words = sentence;
      parts.push(node.data.slice(end, found.index), term);
      end = found.index + found[0].length;
    }
    if (parts.length) node.replaceWith(...parts, node.data.slice(end));
  }
}

function showTip(term) {
  hideTip();
  tip.textContent = term.dataset.words;
  tip.hidden = false;
  term.setAttribute("aria-describedby", tip.id);
  const place = term.getBoundingClientRect(), width = document.documentElement.clientWidth;
  const above = place.bottom + tip.offsetHeight > innerHeight && place.top > tip.offsetHeight;
  tip.style.left = `${scrollX + Math.max(8, Math.min(place.left, width - tip.offsetWidth - 8))}px`;
  tip.style.top = `${scrollY + (above ? place.top - tip.offsetHeight : place.bottom)}px`;
}

function hideTip() {
  document.querySelector(`[aria-describedby="${tip.id}"]`)?.removeAttribute("aria-describedby");
  tip.hidden = true;
}

function explainTerms() {
  document.querySelector("main").append(tip);
  const termOf = (target) => target instanceof Element && target.closest(".term");
  const answer = (event) => {
    const term = termOf(event.target);
    if (term) showTip(term);
    else if (event.target !== tip) hideTip();
  };
  for (const kind of ["pointerover", "pointerdown", "focusin"]) document.addEventListener(kind, answer);
  document.addEventListener("focusout", hideTip);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
}

// Heat map of the hits: which resemble one another. A click on a pair shows both side by side.
const ALIKE = DATA.similarity, HITS = ALIKE.name.length;
const heat = $("heat"), OPPOSITE = [33, 102, 172], SAME = [178, 24, 43], WHITE = [247, 247, 247];
let square = 0, margin = 0, pointed = null; // px of a pair, px for names, [row, column] under mouse, finger or keyboard
let tapped = false; // a finger covers several pairs: a tap only names one, until the button shows both

const mix = (a, b, t) => rgb(a.map((value, k) => value + t * (b[k] - value)));
const cosineColour = (value) => mix(WHITE, value < 0 ? OPPOSITE : SAME, Math.min(1, Math.abs(value)));
const cosineOf = ([i, j]) => ALIKE.cosine[i * HITS + j];

function drawSimilarity() {
  if (!HITS) return;
  const ratio = window.devicePixelRatio || 1, room = heat.parentElement.clientWidth, brush = heat.getContext("2d");
  brush.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  const longest = Math.max(...ALIKE.name.map((name) => brush.measureText(name).width)) + 8;
  // Names are left out where they would be smaller than 10 px.
  margin = (room - longest) / HITS >= 10 ? longest : 0;
  square = Math.max(2, Math.min(24, Math.floor((Math.min(room, 760) - margin) / HITS)));
  const side = margin + HITS * square;
  heat.style.width = heat.style.height = `${side}px`;
  heat.width = heat.height = side * ratio;
  brush.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (let i = 0; i < HITS; i++) {
    for (let j = 0; j < HITS; j++) {
      brush.fillStyle = cosineColour(cosineOf([i, j]));
      brush.fillRect(margin + j * square, margin + i * square, square, square);
    }
  }
  if (margin) writeNames(brush);
  const chosen = [state.chosen, state.pinned].map((named) => ALIKE.name.indexOf(named?.name));
  if (chosen.every((k) => k >= 0)) frame(brush, chosen);
  if (pointed) frame(brush, pointed);
}

function writeNames(brush) {
  brush.fillStyle = "#222";
  brush.textBaseline = "middle";
  brush.font = `${Math.min(12, square)}px system-ui, 'DejaVu Sans', sans-serif`;
  ALIKE.name.forEach((name, k) => {
    const middle = margin + (k + 0.5) * square;
    brush.textAlign = "right";
    brush.fillText(name, margin - 4, middle);
    brush.save();
    brush.translate(middle, margin - 4);
    brush.rotate(-Math.PI / 2);
    brush.textAlign = "left";
    brush.fillText(name, 0, 0);
    brush.restore();
  });
}

function frame(brush, [i, j]) {
  brush.lineWidth = 2;
  brush.strokeStyle = "#222";
  brush.strokeRect(margin + j * square + 1, margin + i * square + 1, square - 2, square - 2);
}

function lookAt(pair, byFinger = false) {
  pointed = pair;
  tapped = byFinger;
  drawSimilarity();
  const [a, b] = pair ? pair.map((k) => ALIKE.name[k]) : [];
  $("pair").textContent = pair ? `${a} and ${b}: cosine ${cosineOf(pair).toFixed(2)}` : "";
  $("show-pair").hidden = !tapped;
}

function choosePair([i, j]) {
  state.pinned = i === j ? null : { level: DATA.level, name: ALIKE.name[j] };
  choose(DATA.level, ALIKE.name[i]);
}

function similarityInput() {
  $("no-similarity").hidden = HITS > 0;
  $("with-similarity").hidden = !HITS;
  if (!HITS) return;
  const pairAt = (event) => {
    const [j, i] = [event.offsetX, event.offsetY].map((px) => Math.floor((px - margin) / square));
    return Math.min(i, j) >= 0 && Math.max(i, j) < HITS ? [i, j] : null;
  };
  const byFinger = (event) => event.pointerType === "touch";
  heat.addEventListener("pointermove", (event) => byFinger(event) || lookAt(pairAt(event)));
  heat.addEventListener("pointerleave", (event) => byFinger(event) || lookAt(null));
  heat.addEventListener("click", (event) => {
    const pair = pairAt(event);
    if (pair) byFinger(event) ? lookAt(pair, true) : choosePair(pair);
  });
  $("show-pair").onclick = () => choosePair(pointed);
  heat.addEventListener("focus", () => heat.matches(":focus-visible") && lookAt(pointed || [0, 0]));
  heat.addEventListener("blur", () => tapped || lookAt(null));
  heat.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && pointed) return choosePair(pointed);
    if (!ARROWS[event.key]) return;
    const [dx, dy] = ARROWS[event.key], [i, j] = pointed || [0, 0];
    lookAt([i + dy, j + dx].map((k) => Math.max(0, Math.min(HITS - 1, k))));
    event.preventDefault();
  });
}

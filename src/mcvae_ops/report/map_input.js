// Mouse, touch and keyboard on the map.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WHOLE = { k: 1, x: 0, y: 0 };
let waiting = false;

function zoomTo(next) {
  view = next;
  // A whole map leaves vertical swipes to the page; a zoomed one is moved by them.
  canvas.style.touchAction = view.k > 1 ? "none" : "pan-y";
  showTip(-1);
  if (!waiting) requestAnimationFrame(() => { waiting = false; draw(); });
  waiting = true;
}

// Zoom by a factor; the place (x, y) of the canvas stays where it is.
function zoomBy(factor, x, y) {
  const k = Math.max(1, Math.min(60, view.k * factor)), f = k / view.k;
  const [dx, dy] = [x - canvas.clientWidth / 2, y - canvas.clientHeight / 2];
  zoomTo({ k, x: dx - f * (dx - view.x), y: dy - f * (dy - view.y) });
}

function nearest(x, y) {
  let best = -1, least = 144;
  for (let i = 0; i < screenXY.length / 2; i++) {
    const d = (screenXY[2 * i] - x) ** 2 + (screenXY[2 * i + 1] - y) ** 2;
    if (d < least && (state.group === null || groupOf(i) === state.group)) [best, least] = [i, d];
  }
  return best;
}

// The next point in a direction; a point to the side counts as far as it is out of the way.
function pointTowards(from, [dx, dy]) {
  let best = from, least = Infinity;
  for (let i = 0; i < screenXY.length / 2; i++) {
    const x = screenXY[2 * i] - screenXY[2 * from], y = screenXY[2 * i + 1] - screenXY[2 * from + 1];
    const ahead = x * dx + y * dy, aside = Math.abs(x * dy - y * dx), cost = ahead + 2 * aside;
    if (ahead > 0.5 && cost < least && (state.group === null || groupOf(i) === state.group)) [best, least] = [i, cost];
  }
  return best;
}

function moveTo(i) {
  state.at = i;
  draw();
  showTip(i, screenXY[2 * i], screenXY[2 * i + 1]);
  $("said").textContent = $("tip").textContent;
}

function keys() {
  const first = () => pointsOf(state.chosen)[0] ?? screenXY.findIndex((x) => !isNaN(x)) / 2;
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible")) moveTo(state.at ?? first());
  });
  canvas.addEventListener("blur", () => {
    state.at = null;
    showTip(-1);
    draw();
  });
  canvas.addEventListener("keydown", (event) => {
    const at = state.at ?? first(), middle = [canvas.clientWidth / 2, canvas.clientHeight / 2];
    if (ARROWS[event.key]) moveTo(pointTowards(at, ARROWS[event.key]));
    else if (event.key === "Enter") choose(state.level, points().name[at]);
    else if (event.key === "+") zoomBy(1.5, ...middle);
    else if (event.key === "-") zoomBy(1 / 1.5, ...middle);
    else if (event.key === "0") zoomTo(WHOLE);
    else return;
    event.preventDefault();
  });
}

function pointers() {
  const down = new Map(); // fingers, or the mouse: identifier -> where it is
  let moved = false;
  const spread = () => {
    const [a, b] = [...down.values()];
    return { apart: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    if (!down.size) moved = false;
    down.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const { offsetX: x, offsetY: y, pointerId } = event, was = down.get(pointerId);
    if (!was) return showTip(nearest(x, y), x, y);
    if (down.size === 2) {
      const before = spread();
      down.set(pointerId, { x, y });
      const after = spread();
      moved = true;
      zoomBy(after.apart / Math.max(1, before.apart), after.x, after.y);
    } else if (moved || Math.hypot(x - was.x, y - was.y) > 3) {
      moved = true;
      down.set(pointerId, { x, y });
      zoomTo({ k: view.k, x: view.x + x - was.x, y: view.y + y - was.y });
    }
  });
  const release = (event) => {
    const i = event.type === "pointercancel" || moved ? -1 : nearest(event.offsetX, event.offsetY);
    if (down.delete(event.pointerId) && i >= 0) choose(state.level, points().name[i]);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => showTip(-1));
}

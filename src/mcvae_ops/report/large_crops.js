// One crop, enlarged, with each channel alone below it. Arrow keys go on; Escape closes, as of every dialog.
const LARGE = 600; // px
const large = { id: null, at: 0 };

function enlarge(id, at) {
  Object.assign(large, { id, at });
  showLarge();
  if (!$("large").open) $("large").showModal();
}

function showLarge() {
  const { image, n, crops } = montages[large.id];
  if (!image) return;
  const { k, row, about } = crops[large.at], size = image.naturalWidth / n, coloured = strips(image, n);
  $("large-title").textContent = about;
  const small = element("canvas", ""), shown = $("large-crop");
  blend(small, switchedOn(coloured), size, k, row);
  shown.width = shown.height = LARGE;
  shown.getContext("2d").drawImage(small, 0, 0, LARGE, LARGE);
  scaleBar(shown, size);
  $("large-bar").textContent = barWords(size);
  $("large-channels").replaceChildren(...coloured.map((strip, c) => {
    const figure = element("figure", ""), canvas = element("canvas", "");
    blend(canvas, [strip], size, k, row);
    figure.append(canvas, element("figcaption", DATA.channels[c].stain));
    return figure;
  }));
}

function turn(step) {
  const n = montages[large.id].crops.length;
  large.at = (large.at + step + n) % n;
  showLarge();
}

function largeCrops() {
  $("large-before").onclick = () => turn(-1);
  $("large-after").onclick = () => turn(1);
  $("large-close").onclick = () => $("large").close();
  $("large").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) turn(step);
  });
  // A click beside the dialog closes it, too.
  $("large").addEventListener("click", (event) => event.target === $("large") && $("large").close());
}

// Crops of a gene beside controls. Its picture holds grey channels, one below the other, and is coloured here.
const montages = {}; // of each panel: title, image, number n of crops, and their canvases
const hidden = new Set(); // channels that are switched off
let brightness = 1;
const asked = new Map(); // number of a picture -> promise of its image
const arrivals = new Map(); // number of a picture -> what to do with its address

// Pictures are scripts that call this: of a page that is opened from a folder, a browser lets the
// pixels of no other file be exported.
function picture(number, address) {
  arrivals.get(number)(address);
}

function load(number) {
  if (!asked.has(number)) {
    const file = `${DATA.folder}/${String(number).padStart(4, "0")}.js`;
    asked.set(number, new Promise((arrived, failed) => {
      arrivals.set(number, (address) => {
        const image = new Image();
        image.onload = () => arrived(image);
        image.src = address;
      });
      document.head.append(element("script", "", { src: file, onerror: () => failed(file) }));
    }));
  }
  return asked.get(number);
}

// Elements that show the crops of a gene in a panel; those of other guides are dimmed.
function montage(id, gene, guide) {
  const { picture: number, crops } = DATA.montages[gene], n = crops.length / 2, shown = [];
  const rows = [gene, `${NTC}, same batches`].flatMap((title, row) => {
    const grid = element("div", "", { className: "crops", role: "group", ariaLabel: `${n} crops: ${title}` });
    for (let k = 0; k < n; k++) {
      const [from, batch] = [crops[2 * k], DATA.batches[crops[2 * k + 1]]];
      const about = row ? `${NTC}, ${batch}` : `${gene}, ${batch}, ${say("guide")} ${DATA.guide.name[from]}`;
      const button = element("button", "", { type: "button", title: about, ariaLabel: `Enlarge ${about}` });
      const canvas = element("canvas", "");
      if (guide !== null && from !== guide) button.className = "other";
      button.tabIndex = k ? -1 : 0; // one stop of the Tab key for each row: arrow keys go on
      button.onclick = () => enlarge(id, row * n + k);
      button.append(canvas);
      shown.push({ canvas, k, row, about });
      grid.append(button);
    }
    grid.onkeydown = walk;
    const text = row || guide === null ? title : `${title}, ${say("crops of this guide highlighted")}`;
    return [element("h3", `${text} (${n} crops)`), grid];
  });
  const mine = (montages[id] = { title: gene, n, image: null, crops: shown });
  load(number).then((image) => {
    if (montages[id] !== mine) return; // another gene was chosen meanwhile
    mine.image = image;
    paint(mine);
    $(id).dataset.shown = gene;
  }, (file) => ($("problem").textContent = `The picture ${file} is missing: keep the folder ${DATA.folder} beside this page.`));
  return rows;
}

// Arrow keys go from crop to crop.
function walk(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key], crops = [...event.currentTarget.children];
  const to = crops[crops.indexOf(document.activeElement) + step];
  if (!to) return;
  crops.forEach((crop) => (crop.tabIndex = crop === to ? 0 : -1));
  to.focus();
  event.preventDefault();
}

// One strip of all crops for each channel, in its colour and at the chosen brightness.
function strips(image, n) {
  const size = image.naturalWidth / n;
  return DATA.channels.map((channel, c) => {
    const strip = Object.assign(element("canvas", ""), { width: image.naturalWidth, height: 2 * size });
    const brush = strip.getContext("2d");
    brush.fillRect(0, 0, strip.width, strip.height);
    brush.globalCompositeOperation = "lighter";
    for (let left = brightness; left > 0; left--) {
      brush.globalAlpha = Math.min(1, left);
      brush.drawImage(image, 0, -2 * size * c);
    }
    brush.globalAlpha = 1;
    brush.globalCompositeOperation = "multiply";
    brush.fillStyle = channel.colour;
    brush.fillRect(0, 0, strip.width, strip.height);
    return strip;
  });
}

// Blend coloured channels with the mode "screen", because sums of colours would turn white.
function blend(canvas, strips, size, k, row) {
  const brush = canvas.getContext("2d");
  canvas.width = canvas.height = size;
  brush.fillRect(0, 0, size, size);
  brush.globalCompositeOperation = "screen";
  for (const strip of strips) brush.drawImage(strip, size * k, size * row, size, size, 0, 0, size, size);
  brush.globalCompositeOperation = "source-over";
}

const switchedOn = (strips) => strips.filter((_, c) => !hidden.has(c));

function paint({ image, n, crops }) {
  const shown = switchedOn(strips(image, n)), size = image.naturalWidth / n;
  for (const { canvas, k, row } of crops) {
    blend(canvas, shown, size, k, row);
    if (k === 0) scaleBar(canvas, size);
  }
  $("bar").textContent = barWords(size);
}

// The largest round length, in um, that fills at most two fifths of a crop; null where px have no size.
function barLength(size) {
  if (!DATA.pixel_um) return null;
  return [100, 50, 20, 10, 5, 2, 1].find((um) => um <= 0.4 * size * DATA.pixel_um) ?? null;
}

function barWords(size) {
  const um = barLength(size);
  return um === null ? "" : `White bar: ${um} µm.`;
}

// Draw the bar on a canvas that shows a crop of so many px.
function scaleBar(canvas, size) {
  const um = barLength(size), shown = canvas.width, brush = canvas.getContext("2d");
  if (um === null) return;
  const thick = Math.max(1, Math.round(shown / 64));
  brush.fillStyle = "#fff";
  brush.fillRect(Math.round(shown / 16), shown - 2 * thick - 1, Math.round((um / DATA.pixel_um) * (shown / size)), thick);
}

function paintAll() {
  for (const each of Object.values(montages)) if (each.image) paint(each);
}

// Switches of the channels, brightness, and the picture to save: one set for both panels.
function cropTools() {
  DATA.channels.forEach((channel, c) => {
    const box = element("input", "", { type: "checkbox", checked: true }), wrapper = element("label", "");
    const colour = element("i", "");
    colour.style.background = channel.colour;
    wrapper.append(box, colour, `${channel.name} (${channel.stain})`);
    box.onchange = () => {
      box.checked ? hidden.delete(c) : hidden.add(c);
      paintAll();
    };
    $("channels").append(wrapper);
  });
  $("brightness").addEventListener("input", (event) => {
    brightness = 2 ** Number(event.target.value);
    paintAll();
  });
  $("save-crops").onclick = saveCrops;
}

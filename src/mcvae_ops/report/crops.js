const hidden = new Set(); // channels that are switched off

// Elements of the page that show the crops of a gene. Its picture holds the grey channels, one below the other.
function montage(gene, guide) {
  const { picture, crops } = DATA.montages[gene], n = crops.length / 2;
  const url = `${DATA.folder}/${String(picture).padStart(4, "0")}.webp`;
  const image = new Image(), canvases = [], switches = element("div", "", { className: "channels" });
  const rows = [gene, `${NTC}, same batches`].flatMap((title, row) => {
    const grid = element("div", "", { className: "crops", role: "img", ariaLabel: `${n} crops: ${title}` });
    for (let k = 0; k < n; k++) {
      const [from, batch] = [crops[2 * k], DATA.batches[crops[2 * k + 1]]];
      const crop = element("canvas", "", { title: row ? batch : `${batch}, ${say("guide")} ${DATA.guide.name[from]}` });
      if (guide !== null && from !== guide) crop.className = "other";
      canvases.push([crop, k, row]);
      grid.append(crop);
    }
    const text = row || guide === null ? title : `${title}, ${say("crops of this guide highlighted")}`;
    return [element("h3", `${text} (${n} crops)`), grid];
  });
  DATA.channels.forEach((channel, c) => {
    const box = element("input", "", { type: "checkbox", checked: !hidden.has(c) }), wrapper = element("label", "");
    const mark = element("b", " ■ ");
    mark.style.color = channel.colour;
    wrapper.append(box, mark, `${channel.name} (${channel.stain})`);
    box.onchange = () => {
      box.checked ? hidden.delete(c) : hidden.add(c);
      paint(image, n, canvases);
    };
    switches.append(wrapper);
  });
  delete $("details").dataset.shown;
  image.onerror = () => ($("problem").textContent = `The picture ${url} is missing: keep the folder ${DATA.folder} beside this page.`);
  image.onload = () => {
    paint(image, n, canvases);
    $("details").dataset.shown = gene;
  };
  image.src = url;
  return [switches, ...rows];
}

// Blend coloured channels with the mode "screen", because sums of colours would turn white.
function paint(image, n, canvases) {
  const size = image.naturalWidth / n, coloured = DATA.channels.map((channel, c) => {
    const strip = Object.assign(element("canvas", ""), { width: image.naturalWidth, height: 2 * size });
    const brush = strip.getContext("2d");
    brush.drawImage(image, 0, -2 * size * c);
    brush.globalCompositeOperation = "multiply";
    brush.fillStyle = channel.colour;
    brush.fillRect(0, 0, strip.width, strip.height);
    return strip;
  });
  for (const [canvas, k, row] of canvases) {
    canvas.width = canvas.height = size;
    const brush = canvas.getContext("2d");
    brush.fillRect(0, 0, size, size);
    brush.globalCompositeOperation = "screen";
    coloured.forEach((strip, c) => {
      if (!hidden.has(c)) brush.drawImage(strip, size * k, size * row, size, size, 0, 0, size, size);
    });
  }
}

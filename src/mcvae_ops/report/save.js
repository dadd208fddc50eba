// What can be saved: the rows of the table that are shown as csv, the crops that are shown as png.
function save(content, name) {
  const link = element("a", "", { href: URL.createObjectURL(content), download: name });
  link.click();
  // The browser may read the content after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// A field of a csv. Text that a spreadsheet would run gets an apostrophe in front.
function field(value) {
  if (value === null) return "";
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function tableAsCsv() {
  const columns = Object.entries(DATA.table);
  const lines = [columns.map(([name]) => name), ...fitting().map((i) => columns.map(([, values]) => values[i]))];
  return lines.map((line) => line.map(field).join(",") + "\n").join("");
}

function saveTable() {
  save(new Blob([tableAsCsv()], { type: "text/csv" }), `${DATA.screen}_hits.csv`);
}

// Every row of crops of both panels as one picture, with its name above.
function cropsAsCanvas() {
  const size = 96, head = 28, shown = ["details", "pinned"].map((id) => montages[id]).filter((each) => each?.image);
  const all = element("canvas", ""), brush = all.getContext("2d");
  all.width = Math.max(640, size * Math.max(...shown.map(({ n }) => n)));
  all.height = shown.length * 2 * (size + head) + head;
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, all.width, all.height);
  brush.fillStyle = "#222";
  brush.font = "16px system-ui, 'DejaVu Sans', sans-serif";
  shown.forEach(({ title, crops }, panel) => {
    for (const { canvas, k, row } of crops) {
      const y = (2 * panel + row) * (size + head) + head;
      if (k === 0) brush.fillText(row ? NTC : title, 0, y - 8);
      brush.drawImage(canvas, k * size, y, size, size);
    }
  });
  const stains = DATA.channels.filter((_, c) => !hidden.has(c)).map(({ stain }) => stain).join(", ");
  brush.fillText(`${stains}. ${$("bar").textContent}`, 0, all.height - 8);
  return [all, shown.map(({ title }) => title)];
}

function saveCrops() {
  const [canvas, titles] = cropsAsCanvas();
  canvas.toBlob((content) => save(content, `${[DATA.screen, ...titles].join("_").replace(/[^\w.-]+/g, "-")}.png`));
}

// The table of hits: sorted by any column, filtered by any word. A screen has 20,000 genes, a page shows some.
// The page says what stands in the cell of a name (nameCell), and whether its row is marked (isShown).
const SHOWN_ROWS = 100;
const order = { by: "q", down: false };
let sorted = [];

function sortRows() {
  const values = DATA.table[order.by], sign = order.down ? -1 : 1;
  const last = (value) => value === null || value === "";
  sorted = values.map((_, i) => i).sort((i, j) => {
    const [a, b] = [values[i], values[j]];
    if (last(a) || last(b)) return last(a) - last(b) || i - j;
    return sign * (typeof a === "number" ? a - b : a.localeCompare(b)) || i - j;
  });
}

// The class of a column: numbers stand on the right.
function kind(name) {
  return DATA.table[name].some((value) => typeof value === "number") ? "number" : "";
}

function showHeads() {
  $("heads").replaceChildren(...Object.keys(DATA.table).map((column) => {
    const head = element("th", "", { className: kind(column) }), button = element("button", say(column), { type: "button" });
    if (order.by === column) {
      button.textContent += order.down ? " ▼" : " ▲";
      head.ariaSort = order.down ? "descending" : "ascending";
    }
    button.onclick = () => {
      Object.assign(order, { by: column, down: order.by === column && !order.down });
      sortRows();
      showHeads();
      showRows();
    };
    head.append(button);
    return head;
  }));
}

// Numbers of the rows that hold every word of the filter, in the order of the table.
function fitting() {
  const columns = Object.entries(DATA.table), words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (i) => columns.map(([name, values]) => (values[i] === "yes" ? name : values[i])).join(" ").toLowerCase();
  return words.length ? sorted.filter((i) => words.every((word) => text(i).includes(word))) : sorted;
}

// Counts are columns of whole numbers; elsewhere 5 is 5.00, and 1,234.5 is 1,235.
const isCount = (values) => values.every((value) => value === null || Number.isInteger(value));

function shownValue(name, value, whole) {
  if (value === null || typeof value === "string") return value;
  return whole || Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : value.toPrecision(/^(q|chance)/.test(name) ? 2 : 3);
}

function showRows() {
  const fits = fitting(), columns = Object.entries(DATA.table).map(([name, values]) => [name, values, kind(name), isCount(values)]);
  $("rows").replaceChildren(...fits.slice(0, SHOWN_ROWS).map((i) => {
    const row = element("tr", "", { className: isShown(DATA.table.name[i]) ? "shown" : "" });
    for (const [name, values, className, whole] of columns) {
      const cell = element("td", "", { className });
      if (name === "name") cell.append(nameCell(values[i]));
      else cell.textContent = shownValue(name, values[i], whole);
      row.append(cell);
    }
    return row;
  }));
  $("counted").textContent = `${Math.min(SHOWN_ROWS, fits.length)} of ${fits.length.toLocaleString("en")} rows are shown.`;
}

function hitTable() {
  $("filter").addEventListener("input", showRows);
  sortRows();
  showHeads();
  showRows();
}

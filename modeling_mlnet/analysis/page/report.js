"use strict";
// Sorts and filters the rows of the table; the page can be read and printed without it.
const table = document.querySelector("table.images");
const body = table.tBodies[0];
const rows = [...body.rows];
const headers = [...table.tHead.rows[0].cells];
const field = (id) => document.getElementById(id);

function sortValue(row, column) {
  const cell = row.cells[column];
  const value = cell.dataset.value ?? cell.textContent;
  return cell.classList.contains("number") ? (value === "" ? NaN : Number(value)) : value.toLowerCase();
}

function sortBy(column) {
  const header = headers[column];
  const direction = header.getAttribute("aria-sort") === "descending" ? 1 : -1;
  headers.forEach((other) => other.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", direction < 0 ? "descending" : "ascending");
  const keyed = rows.map((row) => [sortValue(row, column), row]);
  keyed.sort(([a], [b]) => {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b); // no value: always last
    return direction * (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  });
  body.append(...keyed.map(([, row]) => row));
}

function filter() {
  const text = field("name").value.trim().toLowerCase();
  const place = field("place").value;
  const column = Number(field("column").value);
  const [least, most] = ["least", "most"].map((id) => (field(id).value === "" ? null : Number(field(id).value) / 100));
  let shown = 0;
  for (const row of rows) {
    const value = sortValue(row, column);
    const inRange = (least === null || value >= least) && (most === null || value <= most);
    row.hidden = !(row.cells[1].textContent.toLowerCase().includes(text) && inRange &&
      (place === "" || row.dataset.place === place));
    shown += !row.hidden;
  }
  field("count").textContent = `${shown} of ${rows.length} images`;
}

headers.forEach((header, column) => header.querySelector("button")?.addEventListener("click", () => sortBy(column)));
document.querySelector(".tools").addEventListener("input", filter);
document.querySelector(".tools").addEventListener("reset", () => setTimeout(filter));
filter();

"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, index) => {
    head.setAttribute("aria-sort", "none");
    head.firstElementChild.addEventListener("click", () => {
      const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      heads.forEach((each) => each.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const text = (row) => row.cells[index].dataset.sort ?? row.cells[index].textContent.trim();
      const empty = (value) => value === "" || value === "–";
      const rows = [...body.rows].sort((first, second) => {
        const a = text(first), b = text(second);
        if (empty(a) || empty(b)) return empty(a) - empty(b);
        const numbers = Number(a) - Number(b);
        return sign * (Number.isNaN(numbers) ? a.localeCompare(b, "en", { numeric: true }) : numbers);
      });
      body.append(...rows);
    });
  });
}

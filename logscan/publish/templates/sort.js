// A click on a column's head sorts its table. Without scripts the page lacks nothing else.
"use strict";
const words = new Intl.Collator(document.documentElement.lang, { numeric: true });
const number = (text) => parseFloat(text.replace(/,/g, "").replace("<", "0.0").replace(">", "")) || 0;
for (const table of document.querySelectorAll("table")) {
  const bodies = [...table.tBodies];
  const holder = bodies.length > 1 ? table : bodies[0];
  const rows = bodies.length > 1 ? bodies : [...holder.rows];
  if (rows.length < 2) continue;
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const numeric = head.classList.contains("number");
    const text = (row) => (row.rows ? row.rows[0] : row).cells[column].textContent.trim();
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.ariaSort ? head.ariaSort === "ascending" : numeric;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = rows.map((row) => [text(row), row]);
      keyed.sort(([a], [b]) => {
        // What is missing stands last, either way.
        if (a === "—" || b === "—") return (a === "—") - (b === "—");
        return (down ? -1 : 1) * (numeric ? number(a) - number(b) : words.compare(a, b));
      });
      holder.append(...keyed.map(([, row]) => row));
    });
  }
}

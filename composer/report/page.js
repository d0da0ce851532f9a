// Tables sort by the value behind the text. Without this script they are the same tables, in the plan's order.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value;
      const order = (one, two) => {
        const [a, b] = [value(one), value(two)];
        if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
        const numbers = head.classList.contains("n");
        const compared = numbers ? Number(a) - Number(b) : a.localeCompare(b);
        return down ? -compared : compared;
      };
      body.append(...[...body.rows].sort(order));
    });
  });
}

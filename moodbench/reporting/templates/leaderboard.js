(() => {
  const percent = (number) => (number === null ? "—" : (number / 100).toFixed(2));
  document.querySelectorAll("table.board").forEach((table) => {
    const data = JSON.parse(document.getElementById(`${table.dataset.of}-data`).textContent);
    const controls = document.querySelector(`.controls[data-for="${table.dataset.of}"]`);
    const control = (name) => controls.querySelector(`.${name}`);
    const rows = [...table.tBodies[0].rows];
    const cellOf = (row) => data.cells[Number(row.dataset.row)][control("view").selectedIndex];
    const off = new Set();

    // the numbers of another OOD dataset or mean, and with them the places and the order
    const fill = () => {
      const [lowest, highest] = data.scales[control("view").selectedIndex];
      const at = (number) => `${Math.min(100, Math.max(0, (100 * (number - lowest)) / Math.max(highest - lowest, 1)))}%`;
      table.querySelector(".low-end").textContent = percent(lowest);
      table.querySelector(".high-end").textContent = percent(highest);
      rows.forEach((row) => {
        const cell = cellOf(row);
        const [auroc, low, high, fpr95, first, places] = cell || [null, null, null, null, null, ""];
        const [place, , number, bar, other] = row.cells;
        const put = (where, value, words) => { where.dataset.value = value === null ? "" : value; where.textContent = words; };
        put(place, first, places);
        put(number, auroc, percent(auroc));
        put(other, fpr95, percent(fpr95));
        const span = low === null || high === null ? "" : `${percent(low)} to ${percent(high)}`;
        bar.removeAttribute("title");
        bar.dataset.tip = span;
        const svg = bar.firstElementChild, [line, dot] = svg.children;
        svg.toggleAttribute("hidden", auroc === null);
        svg.setAttribute("class", `interval ${first === 1 ? "near" : "far"}${auroc !== null && auroc < lowest ? " below" : ""}`);
        svg.setAttribute("aria-label", span || "no interval");
        if (auroc === null) return;
        line.setAttribute("x1", at(low ?? auroc));
        line.setAttribute("x2", at(high ?? auroc));
        dot.setAttribute("cx", at(auroc));
      });
      const value = (row) => { const cell = cellOf(row); return cell === null ? -1 : cell[0]; };
      const order = (row) => (row.classList.contains("control") ? 1 : 0);
      table.tBodies[0].append(...[...rows].sort((a, b) => order(a) - order(b) || value(b) - value(a) || a.dataset.row - b.dataset.row));
      table.querySelectorAll("th[aria-sort]").forEach((heading) => heading.setAttribute("aria-sort", "none"));
    };

    const sift = () => {
      const words = control("find").value.toLowerCase().split(/\s+/).filter(Boolean);
      const task = control("task-is").value, by = control("by").value, models = new Set();
      const best = control("top-only").checked;
      let count = 0;
      const inOrder = [...rows].sort((a, b) => (cellOf(b)?.[0] ?? -1) - (cellOf(a)?.[0] ?? -1));
      inOrder.forEach((row) => {
        const text = row.textContent.toLowerCase() + " " + row.dataset.model.toLowerCase();
        let there = !off.has(row.dataset.family) && (!task || row.dataset.task === task) && (!by || row.dataset.by === by);
        there = there && words.every((word) => text.includes(word));
        if (there && best) {
          there = !models.has(row.dataset.model) && !row.classList.contains("control");
          if (there) models.add(row.dataset.model);
        }
        row.hidden = !there;
        count += there;
      });
      control("count").value = `${count} of ${rows.length} entries`;
    };

    control("view").addEventListener("change", () => { fill(); sift(); });
    ["find", "task-is", "by", "top-only"].forEach((name) => control(name).addEventListener("input", sift));
    controls.querySelectorAll(".chip").forEach((chip) => chip.addEventListener("click", () => {
      const on = chip.getAttribute("aria-pressed") !== "true";
      chip.setAttribute("aria-pressed", String(on));
      on ? off.delete(chip.dataset.family) : off.add(chip.dataset.family);
      sift();
    }));
    table.querySelectorAll("th[scope=row][title], th[data-tip]").forEach((name) => { name.tabIndex = 0; });
    sift();
  });
})();

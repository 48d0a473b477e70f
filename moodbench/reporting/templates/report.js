"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const make = (tag, words, name) => {
    const element = document.createElement(tag);
    if (words !== undefined && words !== null) element.textContent = words;
    if (name) element.className = name;
    return element;
  };
  const percent = (number) => (number / 100).toFixed(2);

  // light and dark
  document.querySelector(".theme").addEventListener("click", () => {
    const set = root.style.colorScheme;
    const dark = set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.style.colorScheme = dark ? "light" : "dark";
  });

  // a word about a cell, beside it, for the mouse and for the keyboard
  const tip = document.getElementById("tip");
  const showTip = (cell) => {
    const words = wordsOf(cell);
    if (!words) return hideTip();
    tip.textContent = words;
    tip.hidden = false;
    const at = cell.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const above = at.top > own.height + 60;
    const left = Math.min(Math.max(at.left + at.width / 2 - own.width / 2, 8), root.clientWidth - own.width - 8);
    tip.style.left = `${Math.max(left, 8)}px`;
    tip.style.top = `${above ? at.top - own.height - 6 : at.bottom + 6}px`;
    cell.setAttribute("aria-describedby", "tip");
  };
  const hideTip = () => {
    tip.hidden = true;
    document.querySelectorAll("[aria-describedby=tip]").forEach((cell) => cell.removeAttribute("aria-describedby"));
  };
  const wordsOf = (cell) => {
    if (cell.title) {
      cell.dataset.tip = cell.title;
      cell.removeAttribute("title");
    }
    return cell.dataset.tip || "";
  };
  const tipped = (event) => event.target instanceof Element && event.target.closest("[title], [data-tip]");
  document.addEventListener("mouseover", (event) => { const cell = tipped(event); cell ? showTip(cell) : hideTip(); });
  document.addEventListener("focusin", (event) => {
    const cell = tipped(event);
    cell && cell.matches(":focus-visible") ? showTip(cell) : hideTip();
  });
  document.addEventListener("focusout", hideTip);
  document.addEventListener("scroll", hideTip, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

  // what scrolls sideways shows at its edge that there is more
  const edges = [...document.querySelectorAll(".scroll, nav")].map((box) => [box, box.matches("nav") ? box : box.parentElement]);
  const watch = (box, shown) => {
    const look = () => shown.classList.toggle("more-right", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
    box.addEventListener("scroll", look, { passive: true });
    const observer = new ResizeObserver(look);
    [box, ...box.children].forEach((one) => observer.observe(one));
  };
  edges.forEach(([box, shown]) => watch(box, shown));

  // headings that sort
  const sortable = (table, heading, valueOf, after) => {
    const label = heading.querySelector(".head") || heading;
    const button = make("button");
    button.type = "button";
    button.append(...label.childNodes);
    label.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const first = heading.dataset.first || "descending";
      const other = first === "descending" ? "ascending" : "descending";
      const order = heading.getAttribute("aria-sort") === first ? other : first;
      table.querySelectorAll("th[aria-sort]").forEach((one) => one.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", order);
      sortBy(table, valueOf, order);
      if (after) after();
    });
  };
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const sortBy = (table, valueOf, order) => {
    const sign = order === "descending" ? -1 : 1;
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row, place) => [valueOf(row), place, row]);
    const compare = ([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j; // what has no number comes last
      const apart = typeof a === "number" ? a - b : collator.compare(a, b);
      return sign * apart || i - j;
    };
    body.append(...keyed.sort(compare).map((entry) => entry[2]));
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      if (!heading.dataset.sort) return;
      const isText = heading.dataset.sort === "text";
      const value = (row) => {
        const cell = row.cells[column];
        if (isText) return cell.textContent.trim();
        const number = Number.parseFloat(cell.dataset.value);
        return Number.isNaN(number) ? null : number;
      };
      if (isText || column === 0) heading.dataset.first = "ascending";
      sortable(table, heading, value);
    });
  });
  document.querySelectorAll(".more").forEach((button) => button.addEventListener("click", () => {
    const table = button.closest("section").querySelector(".rank");
    const whole = table.classList.toggle("whole");
    button.setAttribute("aria-expanded", String(whole));
    button.dataset.words ??= button.textContent;
    button.textContent = whole ? "Show the first ones" : button.dataset.words;
  }));

  // the grid
  const dialog = document.getElementById("cell");
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  document.querySelectorAll("table.grid").forEach((table) => {
    const chapter = table.dataset.of;
    const data = JSON.parse(document.getElementById(`${chapter}-data`).textContent);
    const controls = document.querySelector(`.controls[data-for="${chapter}"]`);
    const control = (name) => controls.querySelector(`.${name}`);
    const rows = [...table.tBodies[0].rows];
    const headings = [...table.tHead.rows[0].cells];
    let view = 0, metric = 0;
    const rowOf = (row) => Number(row.dataset.row);
    const cellOf = (row, model, where = view) => data.cells[row][model][where];
    const numberOf = (row, model) => {
      const cell = cellOf(row, model);
      return Array.isArray(cell) ? cell[2 + metric] : null;
    };
    const limits = (cell) => cell.slice(2 + data.metrics.length, 4 + data.metrics.length);

    const tipFor = (row, model) => {
      const cell = cellOf(row, model);
      if (cell === null) return "not scored";
      if (!Array.isArray(cell)) return data.texts[cell];
      const [low, high] = limits(cell);
      const lines = [`${data.metrics[metric].label} ${cell[2 + metric] === null ? "—" : percent(cell[2 + metric])} %`];
      if (metric === 0 && low !== null && high !== null) lines[0] += `, 95 % interval ${percent(low)} to ${percent(high)}`;
      lines.push(`${data.scores[row].title} on ${data.models[model].title}`);
      return lines.concat(cell.at(-1).map((note) => data.texts[note])).join("\n");
    };

    const fill = () => {
      const higher = data.metrics[metric].better === "higher";
      const shown = rows.flatMap((row) => data.models.map((_, model) => numberOf(rowOf(row), model))).filter((n) => n !== null);
      const lowest = Math.min(...shown), highest = Math.max(...shown);
      const level = (number) => {
        if (highest === lowest) return 9;
        const share = Math.min(9, Math.max(0, Math.floor((10 * (number - lowest)) / (highest - lowest))));
        return higher ? share : 9 - share;
      };
      data.models.forEach((_, model) => {
        const rivals = rows.filter((row) => !data.scores[rowOf(row)].control).map((row) => numberOf(rowOf(row), model));
        const order = rivals.filter((n) => n !== null).sort((a, b) => (higher ? b - a : a - b));
        const best = order.length > 1 ? order[0] : undefined;
        const second = order[1] !== order[0] ? order[1] : undefined;
        rows.forEach((row) => {
          const cell = row.cells[model + 1], number = numberOf(rowOf(row), model);
          cell.textContent = number === null ? "—" : percent(number);
          const mark = number === null || data.scores[rowOf(row)].control ? "" : number === best ? "best" : number === second ? "second" : "";
          cell.className = number === null ? "none" : `q${level(number)} ${mark}`.trim();
          cell.removeAttribute("title");
          cell.dataset.tip = tipFor(rowOf(row), model);
        });
      });
    };

    const resort = () => {
      const heading = headings.find((one) => one.getAttribute("aria-sort") !== "none");
      if (heading) sortBy(table, valueIn(heading), heading.getAttribute("aria-sort"));
    };
    const valueIn = (heading) => heading.dataset.column === "name"
      ? (row) => data.scores[rowOf(row)].title
      : (row) => numberOf(rowOf(row), Number(heading.dataset.column));
    headings.forEach((heading) => {
      heading.dataset.first = heading.dataset.column === "name" ? "ascending" : "descending";
      sortable(table, heading, valueIn(heading), () => enter(active));
    });

    const off = new Set();
    const matches = (words, ...texts) => {
      const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
      const all = texts.join(" ").toLowerCase();
      return wanted.every((word) => all.includes(word));
    };
    const sift = () => {
      const byScore = control("find-score").value, byModel = control("find-model").value;
      const models = data.models.map((m) => matches(byModel, m.title, m.name, m.task));
      const scores = data.scores.map((s) => !off.has(s.family) && matches(byScore, s.title, s.name, s.params));
      headings.slice(1).forEach((heading, model) => { heading.hidden = !models[model]; });
      rows.forEach((row) => {
        row.hidden = !scores[rowOf(row)];
        models.forEach((there, model) => { row.cells[model + 1].hidden = !there; });
      });
      table.dataset.models = models.filter(Boolean).length;
      const count = (all) => all.filter(Boolean).length;
      control("count").value = `${count(scores)} of ${scores.length} scores, ${count(models)} of ${models.length} models`;
      enter(active);
    };

    // one cell is in the order of the tab key; arrows move from it
    let active = null;
    const seen = () => [...table.tBodies[0].rows].filter((row) => !row.hidden)
      .map((row) => [...row.cells].slice(1).filter((cell) => !cell.hidden));
    const enter = (cell, focus = false) => {
      const visible = seen().flat();
      const next = cell && visible.includes(cell) ? cell : visible[0];
      if (active) active.tabIndex = -1;
      active = next || null;
      if (!active) return;
      active.tabIndex = 0;
      if (focus) active.focus();
    };
    table.addEventListener("keydown", (event) => {
      const cell = event.target.closest("td");
      if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
      const all = seen();
      const line = all.findIndex((cells) => cells.includes(cell)), place = all[line]?.indexOf(cell);
      if (line < 0) return;
      const moves = {
        ArrowUp: [line - 1, place], ArrowDown: [line + 1, place], ArrowLeft: [line, place - 1], ArrowRight: [line, place + 1],
        Home: [line, 0], End: [line, all[line].length - 1],
      };
      if (event.key in moves) {
        event.preventDefault();
        const [to, at] = moves[event.key];
        const next = all[to]?.[at];
        if (next) enter(next, true);
      } else if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        open(cell);
      }
    });
    table.tBodies[0].addEventListener("click", (event) => {
      const cell = event.target.closest("td");
      if (!cell) return;
      enter(cell);
      open(cell);
    });

    const open = (cell) => {
      hideTip();
      const row = rowOf(cell.parentElement), model = cell.cellIndex - 1;
      const score = data.scores[row], column = data.models[model];
      document.getElementById("cell-title").textContent = `${score.title} on ${column.title}`;
      const body = document.getElementById("cell-body");
      const said = [`score ${score.name}`, score.params, score.family, `model ${column.name}`, column.task].filter(Boolean);
      body.replaceChildren(make("p", said.join(" · "), "soft"));
      const inner = make("table", null, "compact"), head = make("tr");
      head.append(make("th", "OOD", "name"), ...data.metrics.map((one) => make("th", `${one.label} ${one.better === "higher" ? "↑" : "↓"}`)));
      head.children[1].after(make("th", "95 % interval"));
      head.append(make("th", "ID rows"), make("th", "OOD rows"));
      inner.createTHead().append(head);
      const lines = inner.createTBody(), notes = new Set();
      data.views.forEach((one, where) => {
        const found = cellOf(row, model, where);
        const line = lines.insertRow();
        line.append(make("th", one.title, "name"));
        if (!Array.isArray(found)) {
          const why = make("td", found === null ? "not scored" : data.texts[found], "text");
          why.colSpan = data.metrics.length + 3;
          line.append(why);
          return;
        }
        const [low, high] = limits(found);
        line.append(...data.metrics.map((_, m) => make("td", found[2 + m] === null ? "—" : percent(found[2 + m]))));
        line.children[1].after(make("td", low === null || high === null ? "—" : `${percent(low)} to ${percent(high)}`));
        line.append(make("td", found[0]), make("td", found[1]));
        found.at(-1).forEach((note) => notes.add(data.texts[note]));
      });
      const scroll = make("div", null, "scroll"), around = make("div", null, "scrolls");
      scroll.tabIndex = 0;
      scroll.append(inner);
      around.append(scroll);
      watch(scroll, around);
      body.append(around, ...[...notes].map((note) => make("p", note, "soft")));
      const origin = document.getElementById(`${chapter}-origin-${model}`);
      if (origin) {
        const facts = origin.querySelector(".origin").cloneNode(true);
        const link = make("a", `All that ${column.title} was made from`);
        link.href = `#${origin.id}`;
        link.addEventListener("click", () => { dialog.close(); origin.open = true; });
        const fact = (what, value) => {
          const line = make("div");
          line.append(make("dt", what), make("dd", value));
          facts.append(line);
        };
        const made = data.made[row][model];
        if (made !== null) fact("scored with", data.texts[made]);
        if (score.paper) fact("score from", score.paper);
        body.append(make("h3", "Made from"), facts, link);
      }
      dialog.showModal();
      dialog.scrollTop = 0;
    };

    control("view").addEventListener("change", (event) => { view = event.target.selectedIndex; fill(); resort(); });
    control("metric").addEventListener("change", (event) => { metric = event.target.selectedIndex; fill(); resort(); });
    control("find-score").addEventListener("input", sift);
    control("find-model").addEventListener("input", sift);
    controls.querySelectorAll(".chip").forEach((chip) => chip.addEventListener("click", () => {
      const on = chip.getAttribute("aria-pressed") !== "true";
      chip.setAttribute("aria-pressed", String(on));
      on ? off.delete(chip.dataset.family) : off.add(chip.dataset.family);
      sift();
    }));
    rows.forEach((row) => [...row.cells].slice(1).forEach((cell) => { cell.tabIndex = -1; }));
    fill();
    sift();
  });

  // what is linked to inside something closed is opened
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
})();

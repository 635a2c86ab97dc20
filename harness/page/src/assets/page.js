// The page's behaviour: filters, opening cases, kernels, zoom, copying, light and
// dark. Plain DOM calls; all content was made by halfopen, none is made here.
"use strict";
(function () {
  const $ = (selector, within) => (within || document).querySelector(selector);
  const $$ = (selector, within) => Array.from((within || document).querySelectorAll(selector));

  // Light and dark: the system's choice until the button is used.
  $("#theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  const say = (text) => {
    const status = $("#status");
    status.textContent = text;
    setTimeout(() => { if (status.textContent === text) status.textContent = ""; }, 2500);
  };

  const table = $("#case-table");
  if (!table) return;
  const form = $("#filters");
  const rows = $$("tr.case", table);
  const several = Boolean($("td.k0", table));
  table.classList.toggle("several", several);
  // The name and what was observed: the book's ETIMEDOUT is no reason to show a row.
  for (const row of rows) {
    const seen = $$("td.seen, td[class*=' k']", row).map((cell) => cell.textContent);
    row.haystack = [row.dataset.id, ...seen].join(" ").toLowerCase();
  }

  // One rule shows a single kernel; its number is the only thing that changes.
  const only = document.head.appendChild(document.createElement("style"));
  function showKernel(number) {
    const count = $$("thead th[class*=' k']", table).length;
    const others = [];
    for (let n = 0; n < count; n++) if (number !== "" && String(n) !== number) others.push("#case-table .k" + n);
    only.textContent = others.length ? others.join(",") + "{display:none}" : "";
  }

  function filter() {
    const wanted = new FormData(form);
    const words = String(wanted.get("text") || "").toLowerCase().split(/\s+/).filter(Boolean);
    const facets = ["verdict", "sign", "detector", "fault"].map((name) => [name, wanted.get(name)]).filter((f) => f[1]);
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.haystack.includes(word))
        && facets.every(([name, value]) => row.dataset[name].split(" ").includes(value))
        && ["differ", "book"].every((name) => !wanted.get(name) || name in row.dataset);
      row.hidden = !fits;
      const details = row.nextElementSibling;
      if (details && details.classList.contains("details")) details.hidden = !fits;
      shown += fits;
    }
    for (const group of $$("tbody", table)) group.hidden = !$("tr.case:not([hidden])", group);
    $("#count").textContent = shown === rows.length ? shown + " cases" : shown + " of " + rows.length + " cases";
    $("#none").hidden = shown > 0;
    table.classList.toggle("table", wanted.get("view") === "table");
    showKernel(String(wanted.get("kernel") || ""));
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  // Details are packed: base64 of zlib's format, inflated by the browser.
  async function unpacked(id) {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).text();
  }

  function choose(detail, kernel) {
    const sections = $$("div.on", detail);
    const there = sections.some((s) => s.dataset.kernel === kernel);
    const shown = there ? kernel : sections[0].dataset.kernel;
    for (const section of sections) section.hidden = section.dataset.kernel !== shown;
    for (const tab of $$(".tabs button", detail)) tab.setAttribute("aria-pressed", String(tab.dataset.kernel === shown));
  }

  async function open(row) {
    const button = $("button.open", row);
    if (button.getAttribute("aria-expanded") === "true") return;
    button.setAttribute("aria-expanded", "true");
    const details = document.createElement("tr");
    details.className = "details";
    const cell = details.appendChild(document.createElement("td"));
    cell.colSpan = 20;
    row.after(details);
    cell.innerHTML = await unpacked("d" + row.id.slice(1));
    choose(cell, String(new FormData(form).get("kernel") || "0"));
  }

  function close(row) {
    $("button.open", row).setAttribute("aria-expanded", "false");
    const details = row.nextElementSibling;
    if (details && details.classList.contains("details")) details.remove();
  }

  const isOpen = (row) => $("button.open", row).getAttribute("aria-expanded") === "true";

  document.addEventListener("click", async (event) => {
    const target = event.target;
    const button = target.closest("button");
    if (button && button.dataset.copy !== undefined) {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        say("Copied");
      } catch (refused) {
        // Without a clipboard the command is selected, to be copied by hand.
        getSelection().selectAllChildren(button.parentElement.querySelector("code"));
        say("Selected: copy it with the keyboard");
      }
    } else if (button && button.dataset.zoom !== undefined) {
      const svg = $("svg.ladder", button.closest("div.on"));
      const factor = Number(button.dataset.zoom);
      const width = svg.viewBox.baseVal.width;
      const now = Number(svg.dataset.scale || 1);
      const scale = factor === 0 ? Math.min(1, (svg.parentElement.clientWidth - 16) / width) : now * factor;
      svg.dataset.scale = scale;
      svg.setAttribute("width", width * scale);
      svg.setAttribute("height", svg.viewBox.baseVal.height * scale);
    } else if (button && button.closest(".tabs")) {
      choose(button.closest(".detail"), button.dataset.kernel);
    } else {
      const row = target.closest("tr.case");
      if (row && !getSelection().toString()) isOpen(row) ? close(row) : open(row);
    }
  });

  // #case=ID opens a case and shows it, whatever the filters say.
  async function follow() {
    const hash = decodeURIComponent(location.hash);
    if (hash.startsWith("#yaml-")) {
      const block = document.getElementById(hash.slice(1));
      if (block) block.open = true;
    }
    if (!hash.startsWith("#case=")) return;
    const row = rows.find((row) => row.dataset.id === hash.slice(6));
    if (!row) return;
    if (row.hidden) {
      form.reset();
      filter();
    }
    await open(row);
    row.scrollIntoView();
    $("button.open", row).focus({ preventScroll: true });
  }
  addEventListener("hashchange", follow);

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      form.elements.text.focus();
    } else if (event.key === "Escape") {
      if (typing) typing.blur();
      else for (const row of rows.filter(isOpen)) close(row);
    } else if ((event.key === "j" || event.key === "k") && !typing) {
      const shown = rows.filter((row) => !row.hidden);
      const at = shown.indexOf(document.activeElement.closest("tr.case"));
      const next = event.key === "j" ? at + 1 : Math.max(at - 1, 0);
      if (shown[next]) $("button.open", shown[next]).focus();
    }
  });

  // What is sticky below the filters has to know how high they are.
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--filters", form.offsetHeight + "px");
  }).observe(form);

  filter();
  follow();
})();

// What a page cannot say in HTML: keys, copying, confirming, and live pages that can be paused. Everything works
// without it but these.
"use strict";
(() => {
  const root = document.documentElement;
  let paused = false;

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const text = copy.parentElement.querySelector("code").textContent;
      navigator.clipboard.writeText(text).then(() => {
        const before = copy.textContent;
        copy.textContent = copy.dataset.done;
        setTimeout(() => { copy.textContent = before; }, 1500);
      });
    }
    const toggle = event.target.closest("[data-live-toggle]");
    if (toggle) { pause(toggle, !paused); }
  });

  function pause(toggle, on) {
    paused = on;
    toggle.dataset.live ??= toggle.textContent;
    toggle.textContent = on ? toggle.dataset.paused : toggle.dataset.live;
    toggle.setAttribute("aria-pressed", String(on));
    if (!on) { location.reload(); }
  }

  // A paused page stays as it is; the end of its task loads the page anew, with what can be done then.
  document.addEventListener("htmx:sse:before:message", (event) => {
    if (paused) { event.preventDefault(); return; }
    if (event.detail.message.event === "ended") { location.reload(); }
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) { event.preventDefault(); }
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest("[data-submit-on-change]");
    if (form) { form.requestSubmit(); }
  });

  // Rows are walked with j and k and opened with Enter.
  let row = -1;
  function rows() { return [...document.querySelectorAll("table.rows tbody tr")]; }
  function choose(next) {
    const all = rows();
    if (!all.length) { return; }
    all[row]?.removeAttribute("aria-selected");
    row = Math.max(0, Math.min(all.length - 1, next));
    all[row].setAttribute("aria-selected", "true");
    all[row].scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (event.target.closest("input, textarea, select, dialog")) { return; }
    const act = {
      "/": () => document.querySelector("[data-filter]")?.focus(),
      j: () => choose(row + 1),
      k: () => choose(row - 1),
      Enter: () => (row >= 0 ? rows()[row]?.querySelector("a")?.click() : undefined),
      r: () => document.querySelector("[data-key=r]")?.click(),
      ".": () => document.querySelector("[data-live-toggle]")?.click(),
      n: () => document.querySelector("a[rel=next]")?.click(),
      p: () => document.querySelector("a[rel=prev]")?.click(),
    }[event.key];
    if (act && !(event.key === "Enter" && event.target.closest("a, button, summary"))) {
      event.preventDefault();
      act();
    }
  });
  root.dataset.script = "on";
})();

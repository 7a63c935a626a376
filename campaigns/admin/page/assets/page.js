// What makes the pages handier where there is JavaScript. Everything works
// without it.
"use strict";

(() => {
  // A notice says what was done just now, not what was done before a reload.
  const here = new URL(location.href);
  if (here.searchParams.has("notice")) {
    here.searchParams.delete("notice");
    history.replaceState(history.state, "", here);
  }

  // Whoever has sent something that is wrong is led to what is wrong with it.
  document.querySelector("[data-troubles]")?.focus();

  // Times are shown in UTC; the reader's own is told where the pointer rests.
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.valueOf())) {
      time.title = at.toLocaleString();
    }
  }

  // A form is sent once, however often its button is pressed.
  addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) {
      return;
    }
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
  });
  // A page that the browser took out of its memory has sent nothing yet.
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
    }
  });

  // What is typed as a filter is looked up when it changes.
  for (const control of document.querySelectorAll("[data-at-once]")) {
    control.addEventListener("change", () => control.form.requestSubmit());
  }

  // One box ticks all of a name.
  for (const all of document.querySelectorAll("[data-all]")) {
    const boxes = [...document.querySelectorAll(`input[type=checkbox][name="${all.dataset.all}"]`)];
    const say = document.querySelector("[data-selected]");
    const count = () => {
      const ticked = boxes.filter((box) => box.checked).length;
      all.checked = ticked > 0 && ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
      if (say) {
        say.textContent = ticked === 0 ? "" : `${ticked} selected`;
      }
    };
    all.closest("[hidden]")?.removeAttribute("hidden");
    all.addEventListener("change", () => {
      for (const box of boxes) {
        box.checked = all.checked;
      }
      count();
    });
    for (const box of boxes) {
      box.addEventListener("change", count);
    }
    count();
  }
})();

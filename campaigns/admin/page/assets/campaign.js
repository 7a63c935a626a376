// What makes the form of a campaign handier where there is JavaScript: the
// preview follows what is typed, an id is proposed, a test is followed, and
// nothing typed is left behind by accident. Everything works without it.
"use strict";

(() => {
  const form = document.querySelector("form[data-campaign]");
  if (!form) {
    return;
  }
  const find = (selector) => form.querySelector(selector);
  const mayEdit = "edit" in form.dataset;

  // What is typed, as the server reads it: spaces and rows without anything in
  // them aside, and what belongs to no campaign.
  const aside = new Set(["to", "do", "key", "test_key"]);
  const typed = () => {
    const all = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (!aside.has(name) && (value !== "" || !name.startsWith("interaction.params."))) {
        all.append(name, value);
      }
    }
    return all.toString();
  };
  const saved = typed();
  const isUnsaved = () => mayEdit && ("unsaved" in form.dataset || typed() !== saved);

  // Unsaved changes: said beside the button, and asked about on leaving.
  let leaving = false;
  const state = find("[data-state]");
  const testButton = find("[data-test-button]");
  const testHint = find("[data-test-hint]");
  const usualHint = testHint?.textContent;
  const testable = testButton && !testButton.disabled;
  const sayState = () => {
    const unsaved = isUnsaved();
    if (state && Boolean(state.firstElementChild) !== unsaved) {
      const badge = document.createElement("span");
      badge.className = "badge warn";
      badge.textContent = "Unsaved changes";
      state.replaceChildren(...(unsaved ? [badge] : []));
    }
    if (testable) {
      testButton.disabled = unsaved;
      const hint = unsaved ? "Save your changes first: a test sends what is saved." : usualHint;
      if (testHint.textContent !== hint) {
        testHint.textContent = hint;
      }
    }
  };
  addEventListener("beforeunload", (event) => {
    if (!leaving && isUnsaved()) {
      event.preventDefault();
    }
  });
  form.addEventListener("submit", () => { leaving = true; });
  for (const link of document.querySelectorAll("[data-leave]")) {
    link.addEventListener("click", () => { leaving = link.target !== "_blank"; });
  }
  addEventListener("pageshow", () => {
    leaving = false;
    sayState();
  });

  // The preview, and what is said beside the fields.
  const said = find("[data-said]");
  const toError = find("[data-to-error]");
  const beside = (name, texts) => {
    const field = find(`[data-field="${CSS.escape(name)}"]`);
    if (!field) {
      return;
    }
    const control = field.querySelector("fieldset, input, select, textarea");
    const id = `f-${name.replace(/[./[ ]/g, "-").replace(/\]/g, "")}-warning`;
    let box = field.querySelector(".warning");
    const described = (control?.getAttribute("aria-describedby") ?? "").split(" ").filter((other) => other && other !== id);
    if (texts.length === 0) {
      box?.remove();
      field.classList.remove("doubtful");
    } else {
      if (!box) {
        box = document.createElement("div");
        box.className = "warning";
        box.id = id;
        (field.querySelector("fieldset") ?? field).append(box);
      }
      box.replaceChildren(...texts.map((text) => {
        const line = document.createElement("p");
        line.textContent = text;
        return line;
      }));
      field.classList.add("doubtful");
      described.push(id);
    }
    if (described.length > 0) {
      control?.setAttribute("aria-describedby", described.join(" "));
    } else {
      control?.removeAttribute("aria-describedby");
    }
  };
  const take = (fresh) => {
    find("[data-preview]").replaceWith(fresh);
    const says = fresh.querySelector("[data-say]")?.textContent ?? "";
    if (said && said.textContent !== says) {
      said.textContent = says;
    }
    const notes = new Map();
    for (const note of fresh.querySelectorAll("[data-note]")) {
      notes.set(note.dataset.note, [...(notes.get(note.dataset.note) ?? []), note.textContent]);
    }
    for (const field of form.querySelectorAll("[data-field]")) {
      if (field.dataset.field !== "to") {
        beside(field.dataset.field, notes.get(field.dataset.field) ?? []);
      }
    }
    const wrong = fresh.dataset.toError ?? "";
    toError.replaceChildren();
    toError.hidden = wrong === "";
    const to = find("#f-to");
    to.removeAttribute("aria-invalid");
    if (wrong !== "") {
      to.setAttribute("aria-invalid", "true");
      const line = document.createElement("p");
      line.textContent = wrong;
      toError.append(line);
    }
  };

  // piece asks for a piece of a page; null where it is not to be had.
  const piece = async (address, options, selector) => {
    const answer = await fetch(address, { ...options, credentials: "same-origin", redirect: "error" });
    if (!answer.ok) {
      return null;
    }
    return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(selector);
  };
  let asked = null;
  const preview = async () => {
    asked?.abort();
    const mine = asked = new AbortController();
    try {
      const fresh = await piece(form.dataset.previewAt, { method: "POST", body: new URLSearchParams(new FormData(form)), signal: mine.signal }, "[data-preview]");
      if (fresh && mine === asked) {
        take(document.adoptNode(fresh));
      }
    } catch {
      // Overtaken by what was typed since, or the daemon is away just now: the
      // next key asks anew.
    }
  };
  let pause = 0;
  const soon = () => {
    clearTimeout(pause);
    pause = setTimeout(preview, 250);
  };
  find("[data-preview-button]").hidden = true;
  form.addEventListener("input", () => {
    sayState();
    soon();
  });
  form.addEventListener("change", () => {
    sayState();
    soon();
  });

  // An id is proposed from the name, until somebody writes one.
  const name = find("#f-name");
  const id = find("#f-id");
  if (name && id instanceof HTMLInputElement) {
    const propose = () => name.value.normalize("NFKD").toLowerCase().replace(/[\u0300-\u036f]/g, "").replace(/ß/g, "ss")
      .replace(/[^a-z0-9]+/g, "-").replace(/^-+/, "").slice(0, 64).replace(/-+$/, "");
    let own = id.value !== "" && id.value !== propose();
    id.addEventListener("input", () => { own = id.value !== ""; });
    name.addEventListener("input", () => {
      if (!own) {
        id.value = propose();
      }
    });
  }

  // A row more for names and values, without asking the server.
  find("[data-add-row]")?.addEventListener("click", (event) => {
    event.preventDefault();
    const rows = find("[data-pairs]");
    const row = rows.lastElementChild.cloneNode(true);
    const number = rows.children.length + 1;
    for (const input of row.querySelectorAll("input")) {
      input.value = "";
      input.setAttribute("aria-label", input.getAttribute("aria-label").replace(/\d+$/, number));
    }
    rows.append(row);
    row.querySelector("input").focus();
  });

  // A test is followed until nothing more will happen to it, for five minutes
  // at most.
  const place = find("[data-test-place]");
  const until = Date.now() + 5 * 60 * 1000;
  const follow = async () => {
    const address = place?.querySelector("[data-follow]")?.dataset.follow;
    if (!address || Date.now() > until) {
      return;
    }
    try {
      const fresh = await piece(address, {}, "[data-test]");
      const shown = place.querySelector("[data-test]");
      if (fresh && fresh.textContent !== shown.textContent) {
        place.replaceChildren(document.adoptNode(fresh));
        hideWithoutScript();
      }
    } catch {
      // It is asked for again.
    }
    setTimeout(follow, 1000);
  };
  const hideWithoutScript = () => {
    for (const only of form.querySelectorAll(".without-script")) {
      only.remove();
    }
  };
  hideWithoutScript();
  place?.querySelector("[data-test]")?.scrollIntoView({ block: "nearest" });
  sayState();
  follow();
})();

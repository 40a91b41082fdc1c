"use strict";

// Everything that is live on the page: numbers are set in place, parts are swapped whole.
(() => {
  const held = document.getElementById("hold");
  const liveState = document.getElementById("live-state");
  const detail = document.getElementById("detail");
  const deadLetters = document.getElementById("dead-letter-list");
  const announcement = document.getElementById("announcement");
  let pending = new Map();
  let isPressed = false;
  let wereWaiting = false;
  let announcing = 0;

  function isHeld() {
    return held.getAttribute("aria-pressed") === "true";
  }

  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function showValues(values) {
    for (const element of document.querySelectorAll("[data-text]")) {
      const text = values[element.dataset.text];
      if (text !== undefined) setText(element, text);
    }
    for (const element of document.querySelectorAll("[data-state]")) {
      const value = values[element.dataset.state];
      if (value !== undefined && element.dataset.value !== value) element.dataset.value = value;
    }
    for (const element of document.querySelectorAll("[data-fill]")) {
      element.setAttribute("width", (Number(values[element.dataset.fill]) * Number(element.dataset.full)).toFixed(1));
    }
    for (const element of document.querySelectorAll("[data-action]")) {
      element.value = values[element.dataset.action] ?? element.value;
    }
    for (const element of document.querySelectorAll("[data-condition]")) {
      element.setAttribute("aria-pressed", String(element.dataset.condition === values["customerio.condition"]));
    }
    announceWaiting(values["waiting.total"] !== "0");
    const listed = deadLetters.querySelector("[data-listed]");
    if (listed && listed.dataset.listed !== values["dead.total"] && deadLetters.dataset.total !== values["dead.total"]) {
      htmx.trigger(deadLetters, "changed");
    }
    deadLetters.dataset.total = values["dead.total"];
  }

  // For who does not see the picture. What lasts less than a moment is not said.
  function announceWaiting(areWaiting) {
    if (areWaiting === wereWaiting) return;
    wereWaiting = areWaiting;
    clearTimeout(announcing);
    announcing = setTimeout(() => {
      setText(announcement, areWaiting ? "Jobs wait in their lanes." : "No job waits any more.");
    }, 3000);
  }

  // htmx keeps the focus on an element with an id when its part is swapped.
  function showPart(name, text) {
    if (name === "values") {
      showValues(JSON.parse(text));
      return;
    }
    const target = document.querySelector(`[data-part="${name}"]`);
    if (!target) return;
    const scrolled = target.scrollTop;
    htmx.swap(target, text, { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 0 });
    target.scrollTop = scrolled;
  }

  // Nothing moves under a pointer that is pressed: the click would miss what it was meant for.
  function receive(name, text) {
    if (isHeld() || isPressed) pending.set(name, text);
    else showPart(name, text);
  }

  function showPending() {
    if (isHeld() || isPressed) return;
    const waiting = pending;
    pending = new Map();
    waiting.forEach((text, name) => showPart(name, text));
  }

  document.addEventListener("pointerdown", () => { isPressed = true; });
  for (const name of ["pointerup", "pointercancel"]) {
    document.addEventListener(name, () => {
      isPressed = false;
      setTimeout(showPending);
    });
  }

  function setLive(state, text) {
    liveState.className = state;
    setText(liveState, text);
  }

  const source = new EventSource("/live");
  source.addEventListener("open", () => setLive(isHeld() ? "held" : "connected", isHeld() ? "Held" : "Live"));
  source.addEventListener("error", () => setLive("lost", "Not connected"));
  for (const name of ["values", "jobs", "people", "deliveries", "reports"]) {
    source.addEventListener(name, (event) => receive(name, JSON.parse(event.data)));
  }

  held.addEventListener("click", () => {
    held.setAttribute("aria-pressed", String(!isHeld()));
    if (isHeld()) {
      setLive("held", "Held");
      return;
    }
    setLive("connected", "Live");
    showPending();
  });

  // The text stays selected: where a browser refuses to copy for a page, the keys still do it.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    setText(button, document.execCommand("copy") ? "Copied" : "Press Ctrl-C");
    setTimeout(() => setText(button, "Copy"), 6000);
  });

  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "detail-body" && !detail.open) detail.showModal();
  });

  // A part of the stack may be restarting. What was asked for did not happen, and the page says so.
  for (const name of ["htmx:responseError", "htmx:sendError"]) {
    document.body.addEventListener(name, (event) => {
      const said = event.detail.xhr.status === 503 ? event.detail.xhr.responseText : "";
      setText(document.querySelector(".problem[data-text]"), said || "The console did not answer. Try again.");
    });
  }
})();

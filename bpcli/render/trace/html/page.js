"use strict";
document.documentElement.classList.add("scripts");

function element(name, text, className) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/* The worked lines by name, each under its general equation, each equation under its step. */
function lines(names) {
  const found = [];
  let stage = "", quantity = null, box = null;
  for (const name of names) {
    const line = document.getElementById(name);
    if (!line) continue;
    const step = line.closest(".stage");
    if (step && step.dataset.stage !== stage) {
      stage = step.dataset.stage;
      found.push(element("h4", stage));
    }
    const owner = line.closest(".quantity");
    if (owner !== quantity) {
      quantity = owner;
      box = element("div", "", "quantity");
      const head = element("div", "", "head");
      head.innerHTML = owner.querySelector("summary").innerHTML;
      box.append(head);
      found.push(box);
    }
    const copy = line.cloneNode(true);
    copy.removeAttribute("id");
    box.append(copy);
  }
  return found;
}

function show(chosen) {
  const whole = chosen.closest(".network"), panel = whole.querySelector(".panel");
  for (const other of whole.querySelectorAll("[aria-pressed=true]")) other.setAttribute("aria-pressed", "false");
  chosen.setAttribute("aria-pressed", "true");
  const { title, facts, lines: names, ask } = chosen.dataset;
  const list = element("ul", "", "facts");
  for (const fact of facts.split("; ")) list.append(element("li", fact));
  panel.replaceChildren(element("h3", title), list, ...lines((names || "").split(" ")));
  if (!panel.querySelector(".worked")) {
    const words = ask ? "It is not worked out on this page. To see how it comes about:" : "It is given: nothing computes it.";
    panel.append(element("p", words, "hint"));
    if (ask) panel.append(element("code", "bpcli trace ... --format html " + ask, "command"));
  }
  panel.scrollTop = 0;
  if (whole.classList.contains("below") || matchMedia("(max-width: 1099px)").matches)
    panel.scrollIntoView({ block: "nearest" });
}

for (const whole of document.querySelectorAll(".network")) {
  whole.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-title]");
    if (chosen) show(chosen);
  });
  whole.addEventListener("keydown", (event) => {
    const chosen = event.target.closest("[data-title]");
    if (!chosen || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    show(chosen);
  });
}

for (const button of document.querySelectorAll("[data-fold]"))
  button.addEventListener("click", () => {
    for (const each of document.querySelectorAll("main details")) each.open = Boolean(button.dataset.fold);
  });

const folded = [];
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details:not([open])")) {
    folded.push(each);
    each.open = true;
  }
});
addEventListener("afterprint", () => {
  for (const each of folded.splice(0)) each.open = false;
});

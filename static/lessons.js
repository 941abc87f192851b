// Lessons: a menu of them, and the one that was opened, with its set-up in the form and a button that starts it.

import { api } from "./api.js";
import { make } from "./dom.js";
import { fillForm, submit, TEXTBOOK } from "./form.js";
import { fillRace, startRace } from "./race.js";

const menu = document.querySelector("#lessons");
const card = document.querySelector("#lesson");
const opener = menu.querySelector("summary");

let open = null;

/** Make the lessons start. `startAndLook` starts one run and looks at it by itself: of a race the point is all its runs. */
export function setUpLessons(startAndLook) {
  document.querySelector("#lesson-start").addEventListener("click", () => (open.setup.vary ? startRace() : submit(startAndLook)));
}

/** Fetch the lessons and offer them. */
export async function loadLessons() {
  const lessons = await api("GET", "/lessons");
  const items = lessons.map((lesson, at) => {
    const button = make("button", { type: "button", textContent: `${at + 1}. ${lesson.title}` });
    button.addEventListener("click", () => show(lesson));
    return make("li", {}, button);
  });
  menu.querySelector("ol").replaceChildren(...items);
  menu.hidden = !lessons.length;
}

document.querySelector("#lesson-close").addEventListener("click", () => {
  card.hidden = true;
  opener.focus();
});
menu.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu.open) {
    menu.open = false;
    opener.focus();
  }
});
document.addEventListener("pointerdown", ({ target }) => {
  if (!menu.contains(target)) {
    menu.open = false;
  }
});

function show(lesson) {
  open = lesson;
  menu.open = false;
  for (const part of ["title", "text", "question"]) {
    document.querySelector(`#lesson-${part}`).textContent = lesson[part];
  }
  const { method, params, data, vary } = lesson.setup;
  fillForm({ method, params }, data ?? TEXTBOOK);
  fillRace(vary ?? undefined);
  card.hidden = false;
  card.scrollIntoView({ block: "nearest" });
  document.querySelector("#lesson-start").focus();
}

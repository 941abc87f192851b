// Lessons: a menu of them, and the open one, with its set-up in the form and a button that starts it.

/** @import { Lesson } from "./types.d.ts" */

import { startRunAndSelect } from "./actions.js";
import { api } from "./api.js";
import { find, make } from "./dom.js";
import { fillForm, submitForm, TEXTBOOK_DATA } from "./form.js";
import { fillRace, submitRace } from "./race_form.js";

const menu = find("#lessons", HTMLDetailsElement);
const items = find("ol", HTMLOListElement, menu);
const opener = find("summary", HTMLElement, menu);
const card = find("#lesson", HTMLElement);
const starter = find("#lesson-start", HTMLButtonElement);

/** @type {Lesson | null} */
let open = null;

/** Fetch the lessons and offer them. */
export async function loadLessons() {
  /** @type {Lesson[]} */
  const lessons = await api("GET", "/lessons");
  items.replaceChildren(...lessons.map((lesson, at) => {
    const button = make("button", { type: "button", textContent: `${at + 1}. ${lesson.title}` });
    button.addEventListener("click", () => openLesson(lesson));
    return make("li", {}, button);
  }));
  menu.hidden = !lessons.length;
}

// of a race, all its runs are to be seen; of one run, more when it is selected
starter.addEventListener("click", () => (open?.setup.vary ? submitRace() : submitForm(startRunAndSelect)));
find("#lesson-close", HTMLButtonElement).addEventListener("click", () => {
  card.hidden = true;
  opener.focus();
});
menu.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && menu.open) {
    menu.open = false;
    opener.focus();
  }
});
document.addEventListener("pointerdown", ({ target }) => {
  if (!(target instanceof Node && menu.contains(target))) {
    menu.open = false;
  }
});

/** @param {Lesson} lesson */
function openLesson(lesson) {
  open = lesson;
  menu.open = false;
  for (const part of /** @type {const} */ (["title", "text", "question"])) {
    find(`#lesson-${part}`, HTMLElement).textContent = lesson[part];
  }
  const { method, params, data, vary } = lesson.setup;
  fillForm({ method, params }, data ?? TEXTBOOK_DATA);
  fillRace(vary);
  card.hidden = false;
  card.scrollIntoView({ block: "nearest" });
  starter.focus();
}

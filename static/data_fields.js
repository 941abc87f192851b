// The fields of x and y: lists of numbers, into which a table of both can be pasted.

/** @import { Data, Field } from "./types.d.ts" */

import { make } from "./dom.js";
import { listField } from "./fields.js";
import { tableIn } from "./numbers.js";
import { FieldError } from "./refusals.js";

const TABLE = /[\t\r\n]|\]\s*,?\s*\[/; // what only text of several cells has

/**
 * Fill a part of the form with the fields of x and y.
 *
 * @param {HTMLElement} part
 * @param {Data} data in the fields at first
 * @returns {[Field, Field]}
 */
export function makeDataFields(part, { x, y }) {
  const said = make("p", { className: "hint", hidden: true }); // what was made of a table
  said.setAttribute("role", "status");
  /** @type {[Field, Field]} */
  const fields = [
    listField("x", "What the model is given: one number for each sample.", x),
    listField("y", "What the model should answer: one number for each x.", y),
  ];
  for (const field of fields) {
    const input = /** @type {HTMLInputElement} */ (field.input);
    input.addEventListener("beforeinput", (event) => {
      if (TABLE.test(event.data ?? "")) {
        event.preventDefault(); // the input would put spaces in place of lines
        said.textContent = take(/** @type {string} */ (event.data), field, input, fields);
        said.hidden = !said.textContent;
      }
    });
    input.addEventListener("input", (event) => {
      said.hidden ||= event.isTrusted;
    });
  }
  part.replaceChildren(...fields.map(({ element }) => element), said);
  return fields;
}

/**
 * Write pasted text into the field, or into both if it is a table of both; a field tells what is wrong with it. Returns
 * what was done, in words, if that is not plain to see.
 *
 * @param {string} text
 * @param {Field} field into which it was pasted
 * @param {HTMLInputElement} input of that field
 * @param {[Field, Field]} fields of x and y
 */
function take(text, field, input, fields) {
  let table;
  try {
    table = tableIn(text);
  } catch (error) {
    if (!(error instanceof FieldError)) {
      throw error;
    }
    field.refuse(error.message);
    return "";
  }
  const { lists, words } = table;
  if (lists.length === 1) {
    input.setRangeText(lists[0].join(", "), input.selectionStart ?? 0, input.selectionEnd ?? input.value.length, "end");
  } else {
    fields.forEach(({ write }, at) => write(lists[at]));
  }
  for (const one of lists.length === 1 ? [field] : fields) {
    one.accept();
    one.input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  return words;
}

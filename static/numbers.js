// Numbers in text as people type and paste it: lists, columns, full-width digits, and commas of either meaning.

import { FieldError, plain } from "./refusals.js";

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const DECIMAL_COMMA = /^[+-]?\d*,\d+(e[+-]?\d+)?$/i;
const COMMA_GROUPS = /^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$/; // 1,234.5
const POINT_GROUPS = /^[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?$/; // 1.234,5
const AMBIGUOUS = /^[+-]?[1-9]\d{0,2},\d{3}$/; // 1,234
const ADVICE = "write numbers with commas between, such as 1, 2, 3.";

/**
 * The number in the text of a field; undefined if it is empty. Throws a FieldError that names what is no number.
 *
 * @param {string} text
 * @param {boolean} [isInteger] whether a comma can only stand between thousands
 * @returns {number | undefined}
 */
export function numberIn(text, isInteger = false) {
  const cell = simple(text).trim();
  if (cell === "") {
    return undefined;
  }
  const example = isInteger ? "a whole number, such as 100" : "one such as 0.01";
  const comma = isInteger && AMBIGUOUS.test(cell) ? "." : decimalOf([cell]);
  return read(cell, comma, `write ${example}.`);
}

/**
 * The numbers of a list with commas, semicolons, spaces, tabs or lines between, or of Python's. Throws a FieldError that
 * names what is wrong.
 *
 * @param {string} text
 * @param {string} name of the list, for what a FieldError says
 */
export function numbersIn(text, name) {
  const list = withoutBrackets(simple(text));
  const cells = cellsOf(list);
  if (!cells.length) {
    throw new FieldError(`${name} is empty: ${ADVICE}`);
  }
  const decimal = decimalOf(cells);
  return cells.map((cell) => read(cell, decimal, ADVICE));
}

/**
 * Numbers that were pasted: those of one list, or of x and y where there are two columns or two rows. Throws a
 * FieldError that says why it is neither.
 *
 * @param {string} text of several cells or lines
 * @returns {{ lists: number[][], words: string }} one list or two, and what was made of the text
 */
export function tableIn(text) {
  const plainText = simple(text).replace(/\r\n?/g, "\n").trim();
  if (!/[\t\n[]/.test(plainText)) {
    return { lists: [numbersIn(plainText, "The list")], words: "" };
  }
  const { rows, isOfLists } = rowsOf(plainText);
  const { body, left, areRowsNamed } = withoutHeadings(rows);
  const width = Math.max(...body.map((row) => row.length));
  if (body.length === 1 || width === 1) {
    return { lists: [numbersOf(body.flat())], words: left };
  }
  const bad = body.findIndex((row) => row.length !== width || row.includes(""));
  if (bad >= 0) {
    throw new FieldError(`Row ${bad + 1} does not have ${width} numbers: copy columns of equal length.`);
  }
  const isSideways = body.length === 2 && (width > 2 || isOfLists || areRowsNamed);
  if (!isSideways && width > 2) {
    throw new FieldError(`These are ${width} columns: copy the two that are x and y.`);
  }
  const numbers = numbersOf(body.flat());
  const at = (/** @type {number} */ row, /** @type {number} */ column) => numbers[row * width + column];
  const lists = isSideways
    ? [0, 1].map((row) => body[row].map((_, column) => at(row, column)))
    : [0, 1].map((column) => body.map((_, row) => at(row, column)));
  const words = `Two ${isSideways ? "rows" : "columns"} of ${plain(lists[0].length)} were pasted: x and y.`;
  return { lists, words: [words, left].filter(Boolean).join(" ") };
}

// --- lists -----------------------------------------------------------------------------------------------------------

/**
 * The text with what other keyboards and typesetting write differently as ASCII. A full-width comma only separates.
 *
 * @param {string} text
 */
function simple(text) {
  return text
    .replace(/[、，]/g, ", ")
    .replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0))
    .replace(/[\u2212\u2010-\u2014\ufe63]/g, "-")
    .replace(/(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))/g, ""); // between thousands
}

/**
 * "x = torch.tensor([[1.0], [2.0]])" without what is no number.
 *
 * @param {string} text
 */
function withoutBrackets(text) {
  return text
    .replace(/^\s*[a-z_]\w*\s*=\s*/i, "")
    .replace(/^\s*[a-z_][\w.]*\s*(?=\()/i, "")
    .replace(/\]\s*,?\s*\[/g, ", ")
    .replace(/[[\](){}]/g, " ");
}

/**
 * @param {string} list
 * @returns {string[]}
 */
function cellsOf(list) {
  const filled = (/** @type {string[]} */ parts) => parts.map((part) => part.trim()).filter((part) => part !== "");
  if (/,\s/.test(list)) {
    return filled(list.split(/[\s,;]+/)); // every comma separates, if one with a space does
  }
  const cells = filled(list.split(/[\t\n;]+|\s+/));
  if (/[\t\n;]/.test(list)) {
    return cells; // a comma within one of these is a decimal comma
  }
  const [withComma] = cells.filter((cell) => cell.includes(","));
  if (withComma && cells.length > 1) {
    const [whole, part] = withComma.split(",");
    throw new FieldError(
      `“${withComma}” may be ${whole}.${part}, or ${whole} and ${part}: write decimals with a point, or lists with a`
      + " comma and a space.",
    );
  }
  const decimals = /\d+,0\d+/.exec(list)?.[0];
  if (decimals) {
    throw new FieldError(`“${decimals}” has a decimal comma: write ${decimals.replace(",", ".")}.`);
  }
  return withComma ? filled(list.split(",")) : cells;
}

// --- tables ----------------------------------------------------------------------------------------------------------

/**
 * @param {string} text
 * @returns {{ rows: string[][], isOfLists: boolean }} `isOfLists`: each row is a list with brackets of its own
 */
function rowsOf(text) {
  const lists = [...text.matchAll(/\[([^[\]]*)\]/g)].map(([, inside]) => cellsOf(inside));
  if (lists.length) {
    return { rows: lists, isOfLists: !/\[\s*\[/.test(text) };
  }
  const lines = text.split("\n").map((line) => line.replace(/[,;]\s*$/, "")).filter((line) => line.trim() !== "");
  const separator = separatorOf(lines);
  const rows = lines.map((line) => (separator ? line.split(separator).map((cell) => cell.trim()) : [line.trim()]));
  const columns = rows[0].map((_, column) => column).filter((column) => rows.some((row) => row[column]));
  return { rows: columns.length ? rows.map((row) => columns.map((at) => row[at] ?? "")) : rows, isOfLists: false };
}

/**
 * What stands between the cells of each line; null if each is one number.
 *
 * @param {string[]} lines
 */
function separatorOf(lines) {
  const all = lines.join("\n");
  if (all.includes("\t")) {
    return "\t";
  }
  if (all.includes(";")) {
    return /;\s*/;
  }
  if (/, /.test(all)) {
    return /[,\s]+/;
  }
  const isEverywhere = lines.every((line) => line.includes(","));
  if (isEverywhere && lines.some((line) => /[.a-z]|,.*,/i.test(line))) {
    return ",";
  }
  if (isEverywhere && !lines.some((line) => /,0\d/.test(line))) {
    const [whole, part] = lines[0].trim().split(",");
    throw new FieldError(
      `“${lines[0].trim()}” may be ${whole}.${part}, or ${whole} and ${part}: write decimals with a point, or copy the`
      + " columns from the table itself.",
    );
  }
  return lines.every((line) => /\S\s+\S/.test(line.trim())) ? /(?<=\S)\s+(?=\S)/ : null;
}

/**
 * The rows without a first row of names, or a first column of them, and a sentence that says what was left out.
 *
 * @param {string[][]} rows
 */
function withoutHeadings(rows) {
  const isName = (/** @type {string} */ cell) => /\p{L}{2}|^[\p{L}_]/u.test(cell);
  const leftOut = (/** @type {string[]} */ names) => `The heading “${names.filter(Boolean).join(", ")}” is left out.`;
  if (rows.length > 1 && rows[0].every((cell) => !cell || isName(cell))) {
    return { body: rows.slice(1), left: leftOut(rows[0]), areRowsNamed: false };
  }
  if (rows[0].length > 1 && rows.every(([first]) => isName(first))) {
    const left = leftOut(rows.map(([first]) => first));
    return { body: rows.map(([, ...cells]) => cells), left, areRowsNamed: true };
  }
  return { body: rows, left: "", areRowsNamed: false };
}

/** @param {string[]} cells */
function numbersOf(cells) {
  const filled = cells.filter((cell) => cell !== "");
  const decimal = decimalOf(filled);
  return filled.map((cell) => read(cell, decimal, "copy numbers only."));
}

// --- single numbers --------------------------------------------------------------------------------------------------

/**
 * Whether decimals begin with a point or a comma in cells of one origin. Throws a FieldError where nothing tells.
 *
 * @param {string[]} cells
 */
function decimalOf(cells) {
  const isComma = (/** @type {string} */ cell) =>
    !COMMA_GROUPS.test(cell) && (DECIMAL_COMMA.test(cell) || (cell.includes(",") && POINT_GROUPS.test(cell)));
  if (cells.some(isComma)) {
    return ",";
  }
  const doubtful = cells.find((cell) => AMBIGUOUS.test(cell));
  const hasPoint = cells.some((cell) => cell.includes(".") || (COMMA_GROUPS.test(cell) && !AMBIGUOUS.test(cell)));
  if (doubtful && !hasPoint) {
    const [whole, part] = doubtful.split(",");
    throw new FieldError(`“${doubtful}” may be ${whole}${part} or ${whole}.${part}: write it without a comma.`);
  }
  return ".";
}

/**
 * @param {string} cell
 * @param {string} decimal what its decimals begin with
 * @param {string} advice what to write instead
 */
function read(cell, decimal, advice) {
  const text = decimal === ","
    ? (POINT_GROUPS.test(cell) ? cell.replaceAll(".", "") : cell).replace(",", ".")
    : (COMMA_GROUPS.test(cell) ? cell.replaceAll(",", "") : cell);
  const number = NUMBER.test(text) ? Number(text) : NaN;
  if (Number.isNaN(number)) {
    throw new FieldError(`“${cell.slice(0, 40)}” is not a number: ${advice}`);
  }
  if (!Number.isFinite(number)) {
    throw new FieldError(`“${cell.slice(0, 40)}” is too large for a number.`);
  }
  return number;
}

// Where the board is: a proxy may show it below a path, which only the browser knows.

/**
 * A path of the board as an address; what is an address already stays one.
 *
 * @param {string} path
 */
export function onBoard(path) {
  return new URL(path.replace(/^\//, ""), new URL(".", import.meta.url)).href;
}

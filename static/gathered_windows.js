// In Visdom's page, before its own scripts: windows that the board sends together are taken in together. Visdom's page
// draws at once what came within 100 ms, and would cut a set of windows in two where that time ends in its middle.
// The board gives windows even versions while others of their set follow, and the last one an odd one.

{
  const MAX_WAIT_MS = 1000; // for the rest of a set: it may have failed on its way to Visdom
  const FIRST_OF_MORE = /^\{"command": "window", "version": \d*[02468],/;

  window.WebSocket = class extends WebSocket {
    /** @type {MessageEvent[]} */
    #waiting = [];
    #timer = 0;
    /** @type {WebSocket["onmessage"]} */
    #handler = null;

    /** @param {ConstructorParameters<typeof WebSocket>} given */
    constructor(...given) {
      super(...given);
      this.addEventListener("message", (event) => this.#take(event));
    }

    /** @param {WebSocket["onmessage"]} handler */
    set onmessage(handler) {
      this.#handler = handler;
    }

    get onmessage() {
      return this.#handler;
    }

    /** @param {MessageEvent} event */
    #take(event) {
      this.#waiting.push(event);
      if (!FIRST_OF_MORE.test(event.data)) {
        this.#deliver();
      } else if (this.#waiting.length === 1) {
        this.#timer = setTimeout(() => this.#deliver(), MAX_WAIT_MS);
      }
    }

    #deliver() {
      clearTimeout(this.#timer);
      const events = this.#waiting;
      this.#waiting = [];
      events.forEach((event) => this.#handler?.(event));
    }
  };

  /**
   * React changes texts first, and has plots drawn by a message to itself, a task later: between the two, texts and plots
   * would not agree. Such a message arrives at the end of the task in which it is sent.
   */
  class PromptChannel {
    port1 = { onmessage: /** @type {(event: { data: unknown }) => void} */ (() => {}) };
    port2 = { postMessage: (/** @type {unknown} */ data) => queueMicrotask(() => this.port1.onmessage({ data })) };
  }
  window.MessageChannel = /** @type {any} */ (PromptChannel);
}

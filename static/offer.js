// Offers: a sentence and a button beside it, until the button is pressed or the sentence is no longer true.

import { make } from "./dom.js";

export class Offer {
  /**
   * @param {HTMLElement} element where it stands; a live region, empty while nothing is offered
   * @param {HTMLElement} next what has the focus after the button was pressed
   */
  constructor(element, next) {
    this.element = element;
    this.next = next;
  }

  /**
   * @param {string} text
   * @param {string} label of the button
   * @param {() => unknown} act
   */
  make(text, label, act) {
    const button = make("button", { type: "button", className: "small", textContent: label });
    button.addEventListener("click", () => {
      this.withdraw();
      this.next.focus();
      act();
    });
    this.element.replaceChildren(make("span", { textContent: text }), button);
  }

  withdraw() {
    this.element.replaceChildren();
  }
}

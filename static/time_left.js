// How long a run will go on, by how fast its script has come forward while the page looked on.

/** @import { Run } from "./types.d.ts" */

const LEAST_S = 2; // of looking on, before anything is said

export class TimeLeft {
  constructor() {
    /** @type {{ done: number, at: number } | null} since when the run has gone on, and what was done then */
    this.since = null;
  }

  /**
   * Seconds until the end; null while that is not known: of a run that is held, or says nothing of how far it is.
   *
   * @param {Run} run
   * @param {number} now in milliseconds
   */
  of({ status, done_steps: done, total_steps: total }, now = Date.now()) {
    if (status !== "running" || done === null || total === null) {
      this.since = null;
      return null;
    }
    this.since ??= { done, at: now };
    const seconds = (now - this.since.at) / 1000;
    const steps = done - this.since.done;
    return seconds < LEAST_S || steps <= 0 ? null : ((total - done) * seconds) / steps;
  }
}

/**
 * Whose turn it is to compute: one at a time, the more urgent first.
 *
 * @module
 */

/** @typedef {{ readonly priority: number }} Job */

/** Milliseconds after which the event loop gets a chance to deliver messages. */
const BREATH = 12;

/**
 * Jobs that take turns.  One that computes passes between two pieces of its work, so that a more
 * urgent one need not wait for its end; of equals, who was first stays first.
 */
export class Turns {
  /** @type {Job | null} */
  #running = null;
  /** @type {{ job: Job, begin: () => void }[]} */
  #waiting = [];
  #breathed = performance.now();

  /**
   * Wait for the first turn of `job`.
   *
   * @param {Job} job
   */
  async enter(job) {
    if (this.#running) await this.#queued(job, false);
    else this.#running = job;
  }

  /**
   * Let who is more urgent go first, if `job`, whose turn it is, knows of a good place for it.
   *
   * @param {Job} job
   */
  async pass(job) {
    if (performance.now() - this.#breathed > BREATH) {
      await new Promise((resolve) => setTimeout(resolve));
      this.#breathed = performance.now();
    }
    if (this.#waiting.some((other) => other.job.priority > job.priority)) {
      const turn = this.#queued(job, true);
      this.#next();
      await turn;
    }
  }

  /** End the turn of the job whose turn it is. */
  leave() {
    this.#running = null;
    this.#next();
  }

  /**
   * @param {Job} job
   * @param {boolean} first  before its equals
   * @returns {Promise<void>}
   */
  #queued(job, first) {
    return new Promise((begin) => {
      if (first) this.#waiting.unshift({ job, begin });
      else this.#waiting.push({ job, begin });
    });
  }

  #next() {
    if (!this.#waiting.length) return;
    const highest = Math.max(...this.#waiting.map(({ job }) => job.priority));
    const place = this.#waiting.findIndex(({ job }) => job.priority === highest);
    const [{ job, begin }] = this.#waiting.splice(place, 1);
    this.#running = job;
    begin();
  }
}

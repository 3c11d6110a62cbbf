/**
 * Lets jobs compute one at a time, in the order of their priority.
 *
 * @module
 */

/** @typedef {{ readonly priority: number }} Job */

/** Milliseconds after which a job lets the event loop deliver messages. */
const BREATH = 12;

/**
 * A queue of jobs.  Between two pieces of its work a job lets those of higher priority go first, so
 * that they need not wait for its end; equal ones keep their order.
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
   * Let jobs of higher priority go first; `job`, whose turn it is, calls this between two pieces.
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
   * @param {boolean} first  ahead of jobs of equal priority
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

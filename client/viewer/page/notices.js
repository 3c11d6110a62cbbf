/**
 * Notices that say what is wrong, and what to do about it.
 *
 * @module
 */

/** Advice by the name of the error; the error's message says what is wrong. */
const ADVICE = new Map([
  ["UnknownImage", "It may have been renamed or taken away: go back to all pictures."],
  [
    "UnknownModel",
    "Where this page comes from, run `diffc models add FILE` with the model's file, then load " +
      "this page again.",
  ],
  ["ModelUnavailable", "Check the connection, then load this page again."],
  ["CorruptStream", "Load this page again to start over."],
  ["NotAStream", "Load this page again to start over."],
  ["UnsupportedStream", "It was made by a newer version: update where this page comes from."],
  ["LinkLost", "It is tried again by itself; what has arrived is kept, and not sent again."],
  ["SenderLeaving", "It is tried again by itself; what has arrived is kept, and not sent again."],
  ["UnsupportedSimulator", "`diffc-client get` in a terminal shows it."],
  ["PictureTooLarge", "`diffc-client get` in a terminal may have the memory for it."],
  ["RemoteProtocolError", "Sender and page are of different versions: update the older one."],
]);

/** The place for notices; there is at most one for each subject. */
export class Notices {
  #element;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#element = element;
  }

  /**
   * Show what is wrong with the subject `about`, in place of its earlier notice.
   *
   * @param {string} about
   * @param {string} wrong
   * @param {string} [advice] Text between backquotes is shown as code.
   * @param {"problem" | "hint"} [kind]
   */
  say(about, wrong, advice = "", kind = "problem") {
    const id = `notice-${about}`;
    const text = `${wrong} ${advice}`;
    const before = document.getElementById(id);
    if (before?.dataset.text === text) return;
    const notice = document.createElement("p");
    notice.id = id;
    notice.className = "notice";
    notice.dataset.kind = kind;
    notice.dataset.text = text;
    const strong = document.createElement("strong");
    strong.textContent = wrong;
    notice.append(strong, " ", ...typed(advice));
    if (before) before.replaceWith(notice);
    else this.#element.append(notice);
  }

  /** Show an error. @param {string} about @param {Error} error */
  explain(about, error) {
    this.say(about, sentence(error.message), ADVICE.get(error.name) ?? "");
  }

  /** Remove the notice of a subject. @param {string} about */
  clear(about) {
    document.getElementById(`notice-${about}`)?.remove();
  }
}

/** @param {string} words */
function sentence(words) {
  const text = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** @param {string} text */
function typed(text) {
  return text.split("`").map((words, place) => {
    if (place % 2 === 0) return words;
    const code = document.createElement("code");
    code.textContent = words;
    return code;
  });
}

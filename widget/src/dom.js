/** Builds elements one by one, because a page may forbid every other way. */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [traits] properties of the element, or attributes where there is no such property
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, traits = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(traits)) {
    if (name in element) Object.assign(element, { [name]: value });
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** @param {string} part @param {string} words @param {() => void} onclick */
export const button = (part, words, onclick) => make("button", { type: "button", part, onclick }, words);

/** @param {string} legend @param {...Node} children */
export const fieldset = (legend, ...children) =>
  make("fieldset", {}, make("legend", { part: "legend" }, legend), ...children);

/** @param {...(Node | string)} children what stands side by side, as far as there is room */
export const row = (...children) => make("div", { className: "options" }, ...children);

/** @param {string} words @param {...Node} well what a reader writes in or chooses from, in its frame */
export const field = (words, ...well) =>
  make("label", { part: "field" }, words, make("span", { className: "well" }, ...well));

/**
 * A form that asks us, not the browser, and says so while the answer is on its way.
 * @param {() => void} send
 * @param {...(Node | string)} children the last one is the button that sends it
 */
export function formOf(send, ...children) {
  const form = make("form", { noValidate: true }, ...children);
  form.onsubmit = (event) => {
    event.preventDefault();
    send();
  };
  const submit = /** @type {HTMLButtonElement} */ (children.at(-1));
  return {
    form,
    /** Holds the choice still. The button keeps the focus, so that its new words are heard. @param {string} words */
    setBusy(words) {
      submit.textContent = words;
      submit.ariaDisabled = "true";
      submit.focus();
      for (const field of form.querySelectorAll("fieldset")) field.disabled = true;
    },
  };
}

/**
 * One native radio that fills its tile, so that every pointer and every helper meets the real thing.
 * @param {string} name
 * @param {string} words
 * @param {string | number} value
 * @param {boolean} checked
 * @param {() => void} onchange
 */
export const option = (name, words, value, checked, onchange) =>
  make(
    "label",
    { part: "option" },
    make("input", { type: "radio", name, value, checked, onchange }),
    make("span", { part: "option-label" }, words),
  );

/**
 * A place for what is wrong with one field, tied to it for those who hear the page. A view has one.
 * @param {HTMLInputElement} input
 */
export function complaintAt(input) {
  const place = make("p", { part: "error", id: "error" });
  input.setAttribute("aria-describedby", "error");
  return {
    place,
    /** @param {string} message an empty one takes the complaint back */
    say(message) {
      place.textContent = message;
      input.setAttribute("aria-invalid", String(!!message));
      if (message) input.focus();
    },
  };
}

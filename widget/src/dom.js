/** Builds elements with DOM calls only, because a page's security policy may forbid markup and inline styles. */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [properties] set as attributes if the element has no such property
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function createElement(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) Object.assign(element, { [name]: value });
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** @param {string} part @param {string} label @param {() => void} onclick */
export const button = (part, label, onclick) => createElement("button", { type: "button", part, onclick }, label);

/** Creates a link that leaves the article open. @param {string} href @param {string} label @param {string} [part] */
export const newTabLink = (href, label, part = "") =>
  createElement("a", { href, target: "_blank", rel: "noopener", part }, label);

/** @param {string} legend @param {...(Node | string)} children */
export const fieldset = (legend, ...children) =>
  createElement("fieldset", {}, createElement("legend", { part: "legend" }, legend), ...children);

/** Lays its children out side by side and wraps them. @param {...(Node | string)} children */
export const optionRow = (...children) => createElement("div", { className: "options" }, ...children);

/** Wraps controls in their label. @param {string} label @param {...Node} controls */
export const labelled = (label, ...controls) =>
  createElement("label", { part: "field" }, label, createElement("span", { className: "well" }, ...controls));

/**
 * Creates a form that validates and submits in script.
 * @param {() => void} onSubmit
 * @param {...(Node | string)} children the last one is the submit button
 */
export function createForm(onSubmit, ...children) {
  const form = createElement("form", { noValidate: true }, ...children);
  form.onsubmit = (event) => {
    event.preventDefault();
    onSubmit();
  };
  const submit = /** @type {HTMLButtonElement} */ (children.at(-1));
  return {
    form,
    /**
     * Disables the fields. The button keeps the focus, so that screen readers announce its new label.
     * @param {string} label
     */
    setBusy(label) {
      submit.textContent = label;
      submit.ariaDisabled = "true";
      submit.focus();
      for (const field of form.querySelectorAll("fieldset")) field.disabled = true;
    },
  };
}

/**
 * Creates a native radio that fills its label, so that any pointer and any assistive technology can use it.
 * @param {string} name
 * @param {string} label
 * @param {string | number} value
 * @param {boolean} checked
 * @param {() => void} onchange
 */
export const radio = (name, label, value, checked, onchange) =>
  createElement(
    "label",
    { part: "option" },
    createElement("input", { type: "radio", name, value, checked, onchange }),
    createElement("span", { part: "option-label" }, label),
  );

/**
 * Creates the error message of one input and links the two for screen readers.
 * @param {HTMLInputElement} input
 */
export function fieldError(input, id = "error") {
  const element = createElement("p", { part: "error", id });
  input.setAttribute("aria-describedby", id);
  return {
    element,
    /** @param {string} message an empty string clears the error */
    setMessage(message) {
      element.textContent = message;
      input.setAttribute("aria-invalid", String(!!message));
      if (message) input.focus();
    },
  };
}

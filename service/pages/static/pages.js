// Buttons that work only with scripts: they are hidden in the page, and each shows itself where it can work.

const COPIED_MS = 4000;

// The address of a page may hold a reader's token, so only what a button names is copied or shared: a text, or the id of
// an element with the text.
function addCopy(button) {
  const status = document.createElement("span");
  status.setAttribute("role", "status");
  button.after(" ", status);
  let timer;
  button.addEventListener("click", async () => {
    try {
      const { copy, copyOf } = button.dataset;
      await navigator.clipboard.writeText(copy ?? document.getElementById(copyOf).textContent);
    } catch {
      // The browser refused. What is to be copied stands beside the button.
      return;
    }
    status.textContent = button.dataset.done;
    clearTimeout(timer);
    timer = setTimeout(() => (status.textContent = ""), COPIED_MS);
  });
  button.hidden = false;
}

function addShare(button) {
  button.addEventListener("click", async () => {
    try {
      await navigator.share({ text: button.dataset.text, url: button.dataset.share });
    } catch {
      // The reader closed the dialog.
    }
  });
  button.hidden = false;
  document.querySelector(button.dataset.instead).hidden = true;
}

if (navigator.clipboard) document.querySelectorAll("button[data-copy], button[data-copy-of]").forEach(addCopy);
if (navigator.share) document.querySelectorAll("button[data-share]").forEach(addShare);
document.querySelectorAll("button[data-print]").forEach((button) => {
  button.addEventListener("click", () => print());
  button.hidden = false;
});

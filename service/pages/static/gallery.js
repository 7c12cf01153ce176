// The gallery of the support box: frames as high as their pages, and buttons that copy. The page is complete without.

const COPIED_MS = 4000;

function fitHeight(frame) {
  const fit = () => {
    const main = frame.contentDocument.querySelector("main");
    new ResizeObserver(() => (frame.style.blockSize = `${main.offsetHeight + 2}px`)).observe(main);
  };
  frame.addEventListener("load", fit);
  if (frame.contentDocument?.readyState === "complete" && frame.contentDocument.URL !== "about:blank") fit();
}

function addCopy(button) {
  const status = document.createElement("span");
  status.setAttribute("role", "status");
  button.before(status);
  let timer;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      // The browser refused. The snippet can still be selected.
      return;
    }
    status.textContent = button.dataset.done;
    clearTimeout(timer);
    timer = setTimeout(() => (status.textContent = ""), COPIED_MS);
  });
  button.hidden = false;
}

// On a phone, a chosen link closes the contents, which would cover its target.
function addDisclosure(details) {
  const isWide = matchMedia("(min-width: 56rem)");
  const follow = () => (details.open = isWide.matches);
  isWide.addEventListener("change", follow);
  follow();
  details.addEventListener("click", (event) => {
    if (event.target.closest("a") && !isWide.matches) details.open = false;
  });
}

document.querySelectorAll(".gallery iframe:not([data-fixed])").forEach(fitHeight);
addDisclosure(document.querySelector("#contents details"));
if (navigator.clipboard) document.querySelectorAll("button[data-copy]").forEach(addCopy);

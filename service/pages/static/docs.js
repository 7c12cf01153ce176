// The API reference: a filter of the contents, and buttons that copy examples. The page is complete without it.

const COPIED_MS = 4000;

function addSearch(contents) {
  const field = contents.querySelector("input"), status = contents.querySelector("[role=status]");
  const groups = [...contents.querySelectorAll(".contents-group")];
  const others = contents.querySelectorAll(".top-links");
  contents.querySelector(".search").hidden = false;

  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let matches = 0;
    groups.forEach((group) => {
      const name = group.querySelector("p").textContent.toLowerCase();
      const links = [...group.querySelectorAll("li")];
      links.forEach((link) => {
        const text = `${name} ${link.textContent.toLowerCase()}`;
        link.hidden = !words.every((word) => text.includes(word));
      });
      const shown = links.filter((link) => !link.hidden).length;
      group.hidden = shown === 0;
      matches += shown;
    });
    others.forEach((list) => (list.hidden = words.length > 0));
    status.textContent = words.length === 0 ? "" : matches === 1 ? "1 match" : `${matches || "No"} matches`;
  });

  // Enter opens the first match.
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && field.value.trim()) contents.querySelector(".contents-group li:not([hidden]) a")?.click();
  });
}

function addCopy(button) {
  const status = document.createElement("span");
  status.setAttribute("role", "status");
  button.before(status);
  let timer;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    } catch {
      // The browser refused. The example can still be selected.
      return;
    }
    status.textContent = "Copied";
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

addSearch(document.querySelector("#contents"));
addDisclosure(document.querySelector("#contents details"));
if (navigator.clipboard) document.querySelectorAll("button[data-copy]").forEach(addCopy);

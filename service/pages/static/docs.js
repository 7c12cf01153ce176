// The API reference: a filter of the contents. The page is complete without it.

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

addSearch(document.querySelector("#contents"));

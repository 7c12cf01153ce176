// The contents of a reference: open beside a wide page, and folded on a phone.

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

addDisclosure(document.querySelector("#contents details"));

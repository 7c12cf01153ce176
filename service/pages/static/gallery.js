// The gallery of the support box: frames as high as their pages. The page is complete without.

function fitHeight(frame) {
  const fit = () => {
    const main = frame.contentDocument.querySelector("main");
    new ResizeObserver(() => (frame.style.blockSize = `${main.offsetHeight + 2}px`)).observe(main);
  };
  frame.addEventListener("load", fit);
  if (frame.contentDocument?.readyState === "complete" && frame.contentDocument.URL !== "about:blank") fit();
}

document.querySelectorAll(".gallery iframe:not([data-fixed])").forEach(fitHeight);

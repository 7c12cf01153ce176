/** A newsroom's app that uses the recipe. In StrictMode, React mounts each component twice. */

import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { SupportBox } from "recipe";

function App() {
  const [renders, setRenders] = useState(1);
  const [isShown, setIsShown] = useState(true);
  const [theme, setTheme] = useState("light");
  // A new function each time, as most apps pass one.
  const onPledged = (detail) => window.reportPledged({ ...detail, renders });
  return (
    <main>
      <h1>The ferry did not sail</h1>
      <button onClick={() => setRenders(renders + 1)}>Render again</button>
      <button onClick={() => setTheme("dark")}>Dark</button>
      <button onClick={() => setIsShown(!isShown)}>Show or hide</button>
      <p>Rendered {renders} times</p>
      {isShown && <SupportBox variant="react" amount={1200} compact theme={theme} onPledged={onPledged} />}
    </main>
  );
}

const root = document.createElement("div");
document.body.append(root);
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);

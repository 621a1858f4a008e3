// Puts the chosen colour scheme on the page before it is painted; a classic script, so that nothing flashes.
// The choice is no secret, so it may outlive the tab.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("callboard.theme");
  } catch {
    // Storage is refused: the system's scheme it is.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();

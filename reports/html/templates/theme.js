// Light or dark: as the system says, until the button is used; paper is always light.
const colorOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const redraws = [];
const redrawAll = () => redraws.forEach((redraw) => redraw());

const setTheme = (theme) => {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  redrawAll();
};

const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

byId("theme").addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
let onScreen = null; // what paper changes for a while: theme, and which details are closed
addEventListener("beforeprint", () => {
  const closed = [...document.querySelectorAll("details:not([open])")];
  onScreen = { theme: document.documentElement.dataset.theme ?? null, closed };
  closed.forEach((details) => { details.open = true; });
  setTheme("light");
});
addEventListener("afterprint", () => {
  onScreen.closed.forEach((details) => { details.open = false; });
  setTheme(onScreen.theme);
});

// Drawing changes heights, which must not lead to drawing again: only a new width does.
const onNewWidth = (element, redraw) => {
  let width = 0;
  new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    redraw();
  }).observe(element);
};

// Light or dark: as the system says, unless the reader has chosen.

import { Signal } from "./signal.js";

const KEY = "q.theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };

export const theme = new Signal(localStorage.getItem(KEY) ?? "auto");

export function applyTheme() {
  if (theme.value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
}

export function nextTheme() {
  theme.value = NEXT[theme.value] ?? "auto";
  localStorage.setItem(KEY, theme.value);
  applyTheme();
}

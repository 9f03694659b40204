// The page's frame: two tabs, each of which starts when it is first looked at.
import { startChat } from "./chat.js";
import { startMarket } from "./market.js";

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const address = `${scheme}//${location.host}/feed`;
const tabs = [...document.querySelectorAll("[role=tab]")];
const starts = { market: startMarket, chat: startChat };

function select(tab) {
  for (const one of tabs) {
    const on = one === tab;
    const panel = one.getAttribute("aria-controls");
    one.setAttribute("aria-selected", on);
    one.tabIndex = on ? 0 : -1;
    document.getElementById(panel).hidden = !on;
    if (!on) continue;
    starts[panel]?.(address);
    delete starts[panel];
    history.replaceState(null, "", `#${panel}`);
  }
}

for (const [index, tab] of tabs.entries()) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: tabs.length - 1 }[key];
    if (!step) return;
    const next = tabs[(index + step) % tabs.length];
    select(next);
    next.focus();
  });
}
// A page that is left is kept for the way back, its sockets with it: it ends them itself.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
select(tabs.find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash) ?? tabs[0]);

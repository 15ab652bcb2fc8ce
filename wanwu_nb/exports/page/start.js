// The page begins: filters, tiles and keys are joined.

function refresh() {
  const asked = filters();
  const list = shownPictures(asked);
  showFilters(asked, list);
  showTiles(list);
}

let waiting = 0;
function soon(act) {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(act);
}

byId("title").textContent = source.title;
byId("categories").hidden = !labels.some(({ category }) => category);
byId("known").append(...[...new Set(labels.map(({ name }) => name))].map((value) => element("option", { value })));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("input", () => {
  document.body.classList.toggle("boxes", byId("boxes").checked);
  scrollTo(0, 0);
  refresh();
});
byId("clear").addEventListener("click", () => {
  byId("filters").reset();
  document.body.classList.remove("boxes");
  refresh();
});
byId("download").addEventListener("click", download);
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("close").addEventListener("click", () => viewer.close());
byId("add").addEventListener("click", addTyped);
byId("missing").addEventListener("keydown", (event) => {
  if (event.key === "Enter") addTyped();
});
viewer.addEventListener("keydown", onKey);
viewer.addEventListener("close", () => showTiles(shown));
addEventListener("scroll", () => soon(layOut), { passive: true });
addEventListener("resize", () => soon(layOut));
addEventListener("beforeunload", (event) => {
  if (!kept) event.preventDefault();
});
showCount();
refresh();

// The pictures as tiles. Only those in sight are in the page, so that ten thousand scroll as ten do.

const LEAST = 216; // pixels a tile is wide, at least
const HEIGHT = 216;
const GAP = 12;
const BEYOND = 3; // rows above and below what is in sight

const grid = byId("grid");
const tiles = new Map(); // by the picture's number
let shown = [];

function showTiles(list) {
  shown = list;
  for (const tile of tiles.values()) tile.remove();
  tiles.clear();
  layOut();
}

function columns() {
  return Math.max(1, Math.floor((grid.clientWidth + GAP) / (LEAST + GAP)));
}

function layOut() {
  const across = columns();
  const rows = Math.ceil(shown.length / across);
  grid.style.height = `${rows * (HEIGHT + GAP)}px`;
  const top = scrollY - grid.offsetTop;
  const first = Math.max(0, Math.floor(top / (HEIGHT + GAP)) - BEYOND) * across;
  const last = (Math.ceil((top + innerHeight) / (HEIGHT + GAP)) + BEYOND) * across;
  const inSight = new Set();
  shown.slice(first, last).forEach((picture, i) => {
    inSight.add(picture.number);
    place(tileOf(picture), first + i, across);
  });
  for (const [number, tile] of tiles) {
    if (inSight.has(number)) continue;
    tile.remove();
    tiles.delete(number);
  }
}

function place(tile, position, across) {
  const width = Math.floor((grid.clientWidth + GAP) / across) - GAP;
  const x = (position % across) * (width + GAP);
  const y = Math.floor(position / across) * (HEIGHT + GAP);
  tile.style.width = `${width}px`;
  tile.style.transform = `translate(${x}px, ${y}px)`;
}

function tileOf(picture) {
  let tile = tiles.get(picture.number);
  if (!tile) {
    tile = makeTile(picture);
    tiles.set(picture.number, tile);
    grid.append(tile);
  }
  return tile;
}

function makeTile(picture) {
  const image = element("img", { src: addressOfThumbnail(picture), alt: picture.name, decoding: "async" });
  const svg = shape("svg", {});
  drawBoxes(svg, picture);
  const photo = element("div", { className: "photo" }, image, svg);
  if (picture.review) photo.append(element("span", { className: "badge", textContent: "复核", title: picture.review }));
  if (judgedNames().has(picture.name)) photo.append(element("span", { className: "judged", textContent: "✓" }));
  const words = element("div", { textContent: captionOf(picture), title: captionOf(picture, Infinity) });
  const file = element("div", { className: "file", textContent: picture.name, title: picture.name });
  const tile = element("figure", { className: "tile", tabIndex: 0 }, photo, element("figcaption", {}, words, file));
  tile.addEventListener("click", () => view(picture));
  tile.addEventListener("keydown", (event) => {
    if (event.key === "Enter") view(picture);
  });
  return tile;
}

function captionOf(picture, most = 2) {
  if (!picture.objects.length) return "no tag 无标签";
  const first = picture.objects.slice(0, most).map(({ label, confidence }) => `${labels[label].name} ${confidence.toFixed(2)}`);
  const others = picture.objects.length - first.length;
  return others ? `${first.join(" · ")} · +${others}` : first.join(" · ");
}

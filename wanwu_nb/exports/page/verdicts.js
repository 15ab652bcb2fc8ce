// What a person said of the tags: kept in the browser until it is downloaded, and as corrections.csv for the next run.

const COLUMNS = ["image", "box", "verdict", "label", "was"];
const storage = `wanwu_nb ${location.pathname}`;
const verdicts = new Map(read());
let kept = true; // by the browser, or downloaded

function read() {
  try {
    return JSON.parse(localStorage.getItem(storage) || "[]");
  } catch {
    return []; // a browser that keeps nothing for pages from disk
  }
}

function keyOf(picture, place) {
  return JSON.stringify([picture.name, place]);
}

function placeOf(object) {
  return object.box.length ? object.box.join(" ") : "picture";
}

function verdictOn(picture, object) {
  return verdicts.get(keyOf(picture, `${placeOf(object)} ${labels[object.label].name}`));
}

function judge(picture, object, verdict, label = "") {
  const was = labels[object.label].name;
  const key = keyOf(picture, `${placeOf(object)} ${was}`);
  if (verdict) verdicts.set(key, { image: picture.name, box: placeOf(object), verdict, label, was });
  else verdicts.delete(key);
  changed();
}

function addMissing(picture, label) {
  verdicts.set(keyOf(picture, `missing ${label}`), { image: picture.name, box: "picture", verdict: "missing", label, was: "" });
  changed();
}

function missingIn(picture) {
  return [...verdicts].filter(([, row]) => row.image === picture.name && row.verdict === "missing");
}

function takeBack(key) {
  verdicts.delete(key);
  changed();
}

function changed() {
  try {
    localStorage.setItem(storage, JSON.stringify([...verdicts]));
    kept = true;
  } catch {
    kept = false; // as above: the page asks before it is left
  }
  showCount();
}

function judgedNames() {
  return new Set([...verdicts.values()].map(({ image }) => image));
}

function showCount() {
  byId("verdicts").hidden = verdicts.size === 0;
  byId("judged").textContent = `${verdicts.size} verdicts 条判断 · ${judgedNames().size} pictures 张图片`;
}

// As a table that no spreadsheet computes: a text that begins like a formula gets ' in front, as in the package's tables.
function cell(text) {
  const shielded = /^'*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(shielded) || shielded !== shielded.trim() ? `"${shielded.replaceAll('"', '""')}"` : shielded;
}

function asTable() {
  const rows = [...verdicts.values()].map((row) => COLUMNS.map((column) => cell(row[column])).join(","));
  return `\ufeff${[COLUMNS.join(","), ...rows].join("\r\n")}\r\n`;
}

function download() {
  const address = URL.createObjectURL(new Blob([asTable()], { type: "text/csv" }));
  element("a", { href: address, download: "corrections.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
  kept = true;
}

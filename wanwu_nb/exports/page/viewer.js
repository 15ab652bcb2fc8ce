// One picture at its full size, with its tags, and what a person says of them.

const viewer = byId("viewer");
let viewed = null;
let chosen = 0;

function view(picture) {
  viewed = picture;
  chosen = 0;
  const photo = byId("photo");
  byId("gone").hidden = true;
  photo.onerror = () => {
    photo.onerror = null;
    byId("gone").hidden = false;
    photo.src = addressOfThumbnail(picture);
  };
  photo.src = addressOfPhoto(picture);
  byId("missing").value = "";
  showViewed();
  if (!viewer.open) viewer.showModal();
  viewer.focus();
}

function showViewed() {
  byId("name").textContent = viewed.name;
  const position = shown.indexOf(viewed) + 1;
  const size = `${viewed.width} × ${viewed.height} · ${position} / ${shown.length}`;
  byId("about").textContent = viewed.review ? `${size} · review 复核: ${viewed.review}` : size;
  drawBoxes(byId("drawing"), viewed, chosen);
  const rows = viewed.objects.map(rowOf);
  const missing = missingIn(viewed).map(missingRow);
  byId("objects").replaceChildren(...rows, ...missing);
}

function rowOf(object, number) {
  const { name, category, english } = labels[object.label];
  const verdict = verdictOn(viewed, object);
  const swatch = element("span", { className: "swatch" });
  if (object.box.length) swatch.style.background = colourOf(object.label);
  const details = [object.confidence.toFixed(2), category, english, MARKS[object.mark]];
  const words = element("span", { className: "words" }, name, " ");
  words.append(element("small", { textContent: details.filter(Boolean).join(" · ") }));
  const right = button("right", "✓", verdict?.verdict === "right", () => toggle(object, "right"));
  const wrong = button("wrong", "✗", verdict?.verdict === "wrong", () => toggle(object, "wrong"));
  const row = element("li", { className: number === chosen ? "chosen" : "" }, swatch, words, right, wrong);
  row.addEventListener("click", () => choose(number));
  if (verdict?.verdict === "wrong") row.append(correction(object, verdict));
  return row;
}

function button(className, textContent, pressed, act) {
  const title = className === "right" ? "right 正确 (R)" : "wrong 错误 (W)";
  const made = element("button", { type: "button", className, textContent, title });
  made.setAttribute("aria-pressed", pressed);
  made.addEventListener("click", act);
  return made;
}

function correction(object, verdict) {
  const input = element("input", { value: verdict.label, placeholder: "the right label, or nothing 正确标签，可留空" });
  input.setAttribute("list", "known");
  input.addEventListener("click", (event) => event.stopPropagation());
  input.addEventListener("change", () => judge(viewed, object, "wrong", input.value.trim()));
  return input;
}

function missingRow([key, { label }]) {
  const words = element("span", { className: "words" }, label, " ", element("small", { textContent: "missing 漏标" }));
  const back = element("button", { type: "button", textContent: "↩", title: "take back 撤回" });
  back.addEventListener("click", () => {
    takeBack(key);
    showViewed();
  });
  return element("li", {}, element("span", { className: "swatch" }), words, back);
}

function toggle(object, verdict) {
  const before = verdictOn(viewed, object)?.verdict;
  judge(viewed, object, before === verdict ? "" : verdict);
  showViewed();
}

function choose(number) {
  chosen = Math.min(Math.max(number, 0), Math.max(viewed.objects.length - 1, 0));
  showViewed();
}

// By the keyboard: the verdict, then the next tag; behind the last one, the next picture waits for its key.
function decide(verdict) {
  const object = viewed.objects[chosen];
  if (!object) return;
  judge(viewed, object, verdict);
  choose(chosen + 1);
}

function addTyped() {
  const label = byId("missing").value.trim();
  if (!label) return;
  addMissing(viewed, label);
  byId("missing").value = "";
  showViewed();
}

function step(by) {
  const next = shown[shown.indexOf(viewed) + by];
  if (next) view(next);
}

const KEYS = {
  r: () => decide("right"),
  w: () => decide("wrong"),
  n: () => step(1),
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  ArrowDown: () => choose(chosen + 1),
  ArrowUp: () => choose(chosen - 1),
};

function onKey(event) {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

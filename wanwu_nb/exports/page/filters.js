// Which pictures are shown, in which order, and how many there are of each label under the other filters.

const ANY = "";

function filters() {
  return {
    text: byId("text").value.trim().toLowerCase(),
    label: byId("label").value,
    category: byId("category").value,
    confidence: Number(byId("confidence").value),
    review: byId("review").checked,
    sort: byId("sort").value,
  };
}

function fits(object, asked) {
  if (object.confidence < asked.confidence) return false;
  if (asked.label !== ANY && labels[object.label].name !== asked.label) return false;
  return asked.category === ANY || labels[object.label].category === asked.category;
}

function asksForObjects(asked) {
  return asked.label !== ANY || asked.category !== ANY || asked.confidence > 0;
}

function isShown(picture, asked) {
  if (asked.text && !picture.text.includes(asked.text)) return false;
  if (asked.review && !picture.review) return false;
  return !asksForObjects(asked) || picture.objects.some((object) => fits(object, asked));
}

function shownPictures(asked) {
  const shown = pictures.filter((picture) => isShown(picture, asked));
  if (asked.sort === "surest") shown.sort((one, other) => other.surest - one.surest || one.number - other.number);
  if (asked.sort === "unsurest") shown.sort((one, other) => one.leastSure - other.leastSure || one.number - other.number);
  return shown;
}

// Pictures by label, or by category, with this filter left out and the others as they are.
function countsOf(part, asked) {
  const others = { ...asked, [part]: ANY };
  const counts = new Map();
  for (const picture of pictures) {
    if (others.text && !picture.text.includes(others.text)) continue;
    if (others.review && !picture.review) continue;
    const here = new Set();
    for (const object of picture.objects) {
      if (fits(object, others)) here.add(labels[object.label][part === "label" ? "name" : "category"]);
    }
    for (const name of here) counts.set(name, (counts.get(name) || 0) + 1);
  }
  return counts;
}

function offer(part, asked) {
  const counts = countsOf(part, asked);
  const chosen = asked[part];
  if (chosen !== ANY && !counts.has(chosen)) counts.set(chosen, 0);
  counts.delete(ANY);
  const most = [...counts].sort((one, other) => other[1] - one[1] || one[0].localeCompare(other[0], "zh"));
  const options = most.map(([value, count]) => element("option", { value, textContent: `${value} (${count})` }));
  byId(part).replaceChildren(element("option", { value: ANY, textContent: "all 全部" }), ...options);
  byId(part).value = chosen;
}

function showFilters(asked, shown) {
  offer("label", asked);
  offer("category", asked);
  byId("least").value = asked.confidence.toFixed(2);
  const waiting = pictures.filter((picture) => picture.review && isShown(picture, { ...asked, review: true }));
  byId("reviews").textContent = `(${waiting.length})`;
  const objects = shown.reduce((sum, picture) => sum + picture.objects.filter((object) => fits(object, asked)).length, 0);
  byId("count").textContent = `${shown.length} / ${pictures.length} pictures 张图片 · ${objects} tags 个标签`;
  byId("nothing").hidden = shown.length > 0;
}

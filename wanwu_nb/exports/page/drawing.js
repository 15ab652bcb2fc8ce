// Boxes over a picture: an SVG in the picture's own pixels, which lies on it wherever the picture is shown.

const SVG = "http://www.w3.org/2000/svg";

function colourOf(label) {
  return `hsl(${(label * 137.5) % 360} 85% 55%)`; // the golden angle: neighbours differ
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function drawBoxes(svg, picture, chosen = -1) {
  svg.setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
  const boxes = picture.objects.flatMap(({ box, label }, number) => {
    if (!box.length) return [];
    const [x, y, right, bottom] = box;
    const attributes = { x, y, width: Math.max(right - x, 0), height: Math.max(bottom - y, 0), stroke: colourOf(label) };
    return [shape("rect", number === chosen ? { ...attributes, class: "chosen" } : attributes)];
  });
  svg.replaceChildren(...boxes);
}

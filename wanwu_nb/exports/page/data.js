// What the page shows, read once: pictures with their objects, and the words of the labels.

const MARKS = ["", "unsure 不确定", "by a person 人工"];

const byId = (id) => document.getElementById(id);
const source = JSON.parse(byId("data").textContent);
const labels = source.labels.map(([name, category, english]) => ({ name, category, english }));

const pictures = source.pictures.map(([address, name, width, height, review, rows, root], number) => {
  const objects = rows.map(([label, confidence, mark, ...box]) => ({ label, confidence, mark, box }));
  const words = objects.map(({ label }) => Object.values(labels[label]).join(" "));
  return {
    number,
    name,
    address: address || encoded(name),
    width,
    height,
    review,
    objects,
    root,
    text: [name, ...words].join("\n").toLowerCase(),
    surest: objects.length ? Math.max(...objects.map(({ confidence }) => confidence)) : 0,
    leastSure: objects.length ? Math.min(...objects.map(({ confidence }) => confidence)) : 1,
  };
});

function encoded(name) {
  return name.split("/").map(encodeURIComponent).join("/");
}

function addressOfThumbnail(picture) {
  return `${source.thumbs}/${picture.address}.jpg`;
}

function addressOfPhoto(picture) {
  const root = source.roots[picture.root];
  return root ? `${root}/${picture.address}` : addressOfThumbnail(picture);
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

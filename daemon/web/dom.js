// Elements, and tables whose rows stay the same elements while their figures change.

/** Return the element of an id, which must be there. */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/** Make an element: attributes by name, `on...` for listeners; children are elements or text. */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Set an element's text, only where it is another. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Give an element one of the classes up and down by the sign of a number, or neither. */
export function sign(element, value) {
  element.classList.toggle("up", value > 0);
  element.classList.toggle("down", value < 0);
}

/** Have a select offer these [value, text] pairs, and keep what was chosen where it is still there. */
export function options(select, pairs) {
  const have = [...select.options].map((option) => option.value);
  if (have.join("\n") === pairs.map(([value]) => value).join("\n")) return;
  const chosen = select.options.length ? select.value : pairs[0][0];
  select.replaceChildren(...pairs.map(([value, text]) => make("option", { value }, text)));
  select.value = pairs.some(([value]) => value === chosen) ? chosen : pairs[0][0];
}

/**
 * A table of rows by key.
 *
 * A column is {name, text: row => string, of: row => number whose sign colours it, right, rank, title, cell, under}. The
 * rank says how dispensable it is: 2 and 3 are left out of narrow panels. `under` is {rank, text} of a second line that
 * takes the place of a column of that rank. `wrap` breaks text anywhere, `named` a
 * name where it must, `stacks` between words; `tone` is row => class.
 * `cell(row)` makes an element once for a row, and `refresh(element, row)` keeps
 * it true.
 */
export class Table {
  constructor(place, columns, empty) {
    this.columns = columns;
    this.rows = new Map();
    this.body = make("tbody");
    const heads = columns.map(({ name, ...column }) =>
      make("th", { scope: "col", class: classOf(column) }, name || make("span", { class: "unseen" }, "Actions")),
    );
    this.table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.body);
    this.empty = make("p", { class: "empty dim" }, empty);
    this.count = place.parentElement.querySelector(".count");
    place.replaceChildren(this.table, this.empty);
    this.show([]);
  }

  /** Show rows: [key, row] pairs in their order. */
  show(pairs) {
    // what is gone goes first: a row that need not move keeps the focus, and the press of a button that is under way
    const left = new Set(this.rows.keys());
    for (const [key] of pairs) left.delete(key);
    for (const key of left) {
      this.rows.get(key).element.remove();
      this.rows.delete(key);
    }
    let place = this.body.firstElementChild;
    for (const [key, row] of pairs) {
      let line = this.rows.get(key);
      if (line === undefined) {
        line = this.#line(row);
        this.rows.set(key, line);
      }
      if (line.row !== row) this.#fill(line, row);
      if (line.element === place) place = place.nextElementSibling;
      else this.body.insertBefore(line.element, place);
    }
    this.table.hidden = pairs.length === 0;
    this.empty.hidden = pairs.length > 0;
    if (this.count) say(this.count, pairs.length ? String(pairs.length) : "");
  }

  #line(row) {
    const cells = this.columns.map((column) => {
      const cell = make("td", { class: classOf(column) });
      if (column.cell) cell.append(column.cell(row, () => line.row));
      if (column.under) cell.append(make("span"), make("div", { class: `under under-${column.under.rank}` }));
      return cell;
    });
    const line = { element: make("tr", {}, ...cells), cells, row: undefined };
    return line;
  }

  #fill(line, row) {
    line.row = row;
    this.columns.forEach((column, index) => {
      const cell = line.cells[index];
      if (column.cell) column.refresh?.(cell.firstElementChild, row);
      else say(column.under ? cell.firstElementChild : cell, column.text(row));
      if (column.under) say(cell.lastElementChild, column.under.text(row));
      if (column.of) sign(cell, column.of(row));
      if (column.tone) cell.className = [classOf(column), column.tone(row)].filter(Boolean).join(" ");
      if (column.title) cell.title = column.title(row);
    });
  }
}

function classOf(column) {
  return [column.right && "right", column.rank && `rank-${column.rank}`, column.wrap && "wrap", column.named && "wrap named", column.stacks && "stacks"]
    .filter(Boolean)
    .join(" ") || undefined;
}

'use strict';
// The page of a report: unpacks the data, draws the map, fills the list.
(async () => {
  const $ = (id) => document.getElementById(id);
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const packed = Uint8Array.from(atob($('data').textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const report = await new Response(stream).json();
  const isUpdate = report.kind === 'update';

  const number = new Intl.NumberFormat('en');
  const bytes = (count) => number.format(Math.round(count));
  const share = (part, all) => (all > 0 ? (100 * part / all).toFixed(part * 10 < all ? 1 : 0) + ' %' : '');
  const color = (cause) => `var(--c${cause})`;

  // A hierarchy in which every node knows its bytes by cause, all below it included.
  const root = d3.hierarchy(report.root);
  root.eachAfter((node) => {
    node.causes = new Float64Array(report.causes.length);
    const parts = node.data.parts || [];
    for (let i = 0; i < parts.length; i += 2) node.causes[parts[i]] += parts[i + 1];
    node.own = node.causes.reduce((a, b) => a + b, 0);
    for (const child of node.children || []) child.causes.forEach((value, i) => { node.causes[i] += value; });
    node.value = node.causes.reduce((a, b) => a + b, 0);
    node.cause = node.causes.indexOf(Math.max(...node.causes));
  });
  root.sort((a, b) => b.value - a.value);
  // The names on the way from the root, without the root.
  const path = (node) => node.ancestors().reverse().slice(1).map((n) => n.data.name).join('/') || report.title;
  const sum = root.value;

  // What the map and the list show.
  let here = root;
  while (here.children && here.children.length === 1 && here.own === 0) here = here.children[0];
  const start = here;
  let chosen = -1;
  let words = [];
  const matches = (node) => {
    if (chosen >= 0 && node.causes[chosen] === 0) return false;
    if (words.length === 0) return true;
    const text = (path(node) + ' ' + report.causes[node.cause].label + ' ' + (node.data.why || '')).toLowerCase();
    return words.every((word) => text.includes(word));
  };

  function why(node) {
    const text = [];
    if (node.data.why) text.push(node.data.why);
    if (node.children && node.data.children) text.push(`${bytes(node.leaves().length)} files`);
    return text.join('; ');
  }
  function describe(node) {
    const parts = [...node.causes].map((value, i) => [value, report.causes[i].label]).filter(([value]) => value >= 0.5);
    parts.sort((a, b) => b[0] - a[0]);
    const text = [`${bytes(node.value)} bytes (${share(node.value, sum)})`];
    if (parts.length > 1 || isUpdate) text.push(parts.map(([value, label]) => `${label} ${bytes(value)}`).join(', '));
    if (node.data.size !== undefined) text.push(`${bytes(node.data.size)} bytes long`);
    if (node.data.frees !== undefined) text.push(`removing it frees ${bytes(node.data.frees)}`);
    const reason = why(node);
    if (reason) text.push(reason);
    return text.join(' · ');
  }
  function detail(node) {
    $('detail').replaceChildren(make('b', { textContent: path(node) }), make('br', {}), describe(node));
  }

  // Causes: a bar, and buttons that choose one.
  const causes = [...root.causes.keys()].filter((i) => root.causes[i] > 0).sort((a, b) => root.causes[b] - root.causes[a]);
  $('bar').setAttribute('aria-label', causes.map((i) => `${report.causes[i].label} ${share(root.causes[i], sum)}`).join(', '));
  for (const i of causes) {
    const { label, explanation } = report.causes[i];
    const part = make('span', { title: `${label}: ${bytes(root.causes[i])} bytes` });
    part.style.background = color(i);
    part.style.flex = `${root.causes[i]} 0 0`;
    $('bar').append(part);
    const swatch = make('span', { className: 'swatch' });
    swatch.style.background = color(i);
    const button = make('button', { type: 'button', title: explanation }, swatch,
      `${label}: ${bytes(root.causes[i])} (${share(root.causes[i], sum)})`);
    button.setAttribute('aria-pressed', 'false');
    button.onclick = () => {
      chosen = chosen === i ? -1 : i;
      for (const other of $('causes').querySelectorAll('button')) other.setAttribute('aria-pressed', String(other === button && chosen === i));
      draw();
      list();
    };
    $('causes').append(make('li', {}, button));
  }

  // The three costliest, in words.
  const single = root.descendants().filter((node) => node.own > 0).sort((a, b) => b.own - a.own);
  for (const node of single.slice(0, 3)) {
    const cause = report.causes[node.cause].label;
    $('top').append(make('li', {}, make('b', { textContent: `${bytes(node.own)} bytes` }), ` (${share(node.own, sum)}) `,
      link(node), ` – mostly ${cause}${node.data.why ? '; ' + node.data.why : ''}`));
  }

  function link(node) {
    const button = make('button', { type: 'button', textContent: path(node) });
    button.style.cssText = 'font:inherit;color:var(--mark);background:none;border:0;padding:0;cursor:pointer;text-align:left';
    button.onclick = () => { go(node.children ? node : node.parent || root, node); };
    return button;
  }

  // The map.
  const boxes = new Map();
  const LABEL = 16, LEAST = 3;
  function draw(focus) {
    const map = $('map');
    const { width, height } = map.getBoundingClientRect();
    boxes.clear();
    const elements = [];
    // A layout of its own for what is shown: a copy of the part of the tree below `here`.
    const shown = d3.hierarchy(here, (node) => node.children).eachBefore((node) => { node.own = node.data.own; });
    // What a node has for itself is beside its children.
    shown.sum((node) => node.own).sort((a, b) => b.value - a.value);
    // The top comes after all sides: it is one of them.
    d3.treemap().size([width - 2, height - 2]).paddingInner(1).paddingOuter((node) => (node.depth > 0 ? 1 : 0))
      .paddingTop((node) => (node.depth > 0 && node.y1 - node.y0 > 2 * LABEL && node.x1 - node.x0 > 30 ? LABEL : node.depth > 0 ? 1 : 0))(shown);
    const visit = (node, level) => {
      const w = node.x1 - node.x0, h = node.y1 - node.y0;
      if (w < LEAST || h < LEAST) return;
      const target = node.data;
      const isFine = node.children && w > 24 && h > 24;
      if (level > 0) {
        const box = make('div', { className: node.children ? (isFine ? 'inner' : 'many') : 'leaf', tabIndex: -1 });
        box.style.cssText = `left:${node.x0}px;top:${node.y0}px;width:${w}px;height:${h}px`;
        if (!node.children) box.style.background = color(target.cause);
        if (w > 28 && h > 13) box.textContent = target.data.name;
        if (!matches(target) && !(node.children && target.descendants().some(matches))) box.classList.add('other');
        box.setAttribute('role', 'treeitem');
        box.setAttribute('aria-level', String(level));
        box.setAttribute('aria-label', `${target.data.name}: ${bytes(target.value)} bytes, mostly ${report.causes[target.cause].label}`);
        if (node.children) box.setAttribute('aria-expanded', String(Boolean(isFine)));
        boxes.set(box, target);
        elements.push(box);
      }
      if (isFine || level === 0) for (const child of node.children || []) visit(child, level + 1);
    };
    visit(shown, 0);
    map.replaceChildren(...elements);
    const found = elements.find((box) => boxes.get(box) === focus) || elements[0];
    if (found) found.tabIndex = 0;
    if (found && focus) found.focus();
    way();
  }
  function way() {
    const nodes = here.ancestors().reverse();
    $('way').replaceChildren(...nodes.flatMap((node, i) => {
      const name = i === 0 ? 'all' : node.data.name;
      if (node === here) return [make('span', { textContent: ` ${name} ` })];
      const button = make('button', { type: 'button', textContent: name });
      button.onclick = () => go(node);
      return [button, ' / '];
    }));
    detail(here);
  }
  function go(node, focus) {
    here = node;
    draw(focus);
    list();
    if (focus) detail(focus);
  }
  $('map').addEventListener('click', (event) => {
    const target = boxes.get(event.target);
    if (!target) return;
    // One level at a time: the child of what is shown that has the box in it.
    const step = target.ancestors().find((node) => node.parent === here) || target;
    if (step.children) go(step, step.children[0]); else { event.target.focus(); detail(target); }
  });
  $('map').addEventListener('mouseover', (event) => { const target = boxes.get(event.target); if (target) detail(target); });
  $('map').addEventListener('focusin', (event) => { const target = boxes.get(event.target); if (target) detail(target); });
  $('map').addEventListener('keydown', (event) => {
    const all = [...boxes.keys()];
    const at = all.indexOf(document.activeElement);
    const focus = (box) => {
      if (!box) return;
      all.forEach((other) => { other.tabIndex = -1; });
      box.tabIndex = 0;
      box.focus();
    };
    const target = boxes.get(document.activeElement);
    const near = (dx, dy) => {
      const from = all[at].getBoundingClientRect();
      const middle = (r) => [r.left + r.width / 2, r.top + r.height / 2];
      const [x, y] = middle(from);
      let best, least = Infinity;
      for (const box of all) {
        if (box === all[at] || boxes.get(box).depth !== target.depth) continue;
        const [bx, by] = middle(box.getBoundingClientRect());
        const along = (bx - x) * dx + (by - y) * dy, across = Math.abs((bx - x) * dy) + Math.abs((by - y) * dx);
        if (along > 0 && along + 2 * across < least) { least = along + 2 * across; best = box; }
      }
      return best;
    };
    const keys = {
      ArrowRight: () => focus(near(1, 0)), ArrowLeft: () => focus(near(-1, 0)),
      ArrowDown: () => focus(near(0, 1)), ArrowUp: () => focus(near(0, -1)),
      Home: () => focus(all[0]), End: () => focus(all[all.length - 1]),
      Enter: () => { if (target && target.children) go(target, target.children[0]); },
      ' ': () => keys.Enter(),
      Escape: () => { if (here !== root && here !== start) { const was = here; go(here.parent, was); } },
      Backspace: () => keys.Escape(),
    };
    if (at >= 0 && keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });

  // The list.
  const STEP = 100;
  let limit = STEP;
  function list() {
    const group = $('group').value;
      const all = here.descendants().filter((node) =>
      group === 'file' ? node.own > 0 : group === 'component' ? node.data.component : node.children && node !== here);
    const cost = (node) => (chosen >= 0 ? (group === 'file' ? partOf(node, chosen) : node.causes[chosen]) : group === 'file' ? node.own : node.value);
    const found = all.filter(matches).sort((a, b) => cost(b) - cost(a));
    const total = group === 'directory' ? null : found.reduce((a, node) => a + cost(node), 0);
    $('count').textContent = `${number.format(found.length)} of ${number.format(all.length)}` + (total === null ? '' : `, ${bytes(total)} bytes`);
    $('rows').replaceChildren(...found.slice(0, limit).map((node) => make('tr', {},
      make('td', { className: 'number', textContent: bytes(cost(node)) }),
      make('td', {}, link(node)),
      make('td', { textContent: report.causes[node.cause].label }),
      make('td', { textContent: why(node) }))));
    $('more').hidden = found.length <= limit;
  }
  function partOf(node, cause) {
    const parts = node.data.parts || [];
    for (let i = 0; i < parts.length; i += 2) if (parts[i] === cause) return parts[i + 1];
    return 0;
  }
  $('search').oninput = () => {
    words = $('search').value.toLowerCase().split(/\s+/).filter(Boolean);
    limit = STEP;
    draw();
    list();
  };
  $('group').onchange = () => { limit = STEP; list(); };
  $('more').onclick = () => { limit += 10 * STEP; list(); };
  addEventListener('resize', () => draw());

  draw();
  list();
  document.body.dataset.ready = String(Math.round(performance.now()));
})();

// What can be said of a page by looking at its elements and how they are
// painted. It runs in a world of its own: the page's scripts see nothing of it.
// Each function returns what is wrong as {rule, where, what}.
"use strict";
globalThis.deflectd = (() => {
	const problems = [];
	const say = (rule, el, what) => problems.push({rule, where: where(el), what});

	// where names an element in a way that finds it in the page's source.
	function where(el) {
		if (!el || !el.tagName) return "page";
		let s = el.tagName.toLowerCase();
		if (el.id) s += "#" + el.id;
		else if (el.name) s += "[name=" + el.name + "]";
		else if (el.classList.length) s += "." + [...el.classList].join(".");
		const text = (el.getAttribute("aria-label") || el.innerText || el.value || "").trim().replace(/\s+/g, " ");
		return text ? s + " " + JSON.stringify(text.slice(0, 40)) : s;
	}

	// ---- colours: everything the browser can paint, as sRGB

	const pot = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
	const known = new Map();
	function colour(css) {
		let c = known.get(css);
		if (!c) {
			pot.clearRect(0, 0, 1, 1);
			pot.fillStyle = css;
			pot.fillRect(0, 0, 1, 1);
			const [r, g, b, a] = pot.getImageData(0, 0, 1, 1).data;
			known.set(css, c = {r, g, b, a: a / 255});
		}
		return c;
	}
	const over = (top, below) => ({
		r: top.r * top.a + below.r * (1 - top.a),
		g: top.g * top.a + below.g * (1 - top.a),
		b: top.b * top.a + below.b * (1 - top.a),
		a: 1,
	});
	// Relative luminance and contrast ratio: WCAG 2.2, its glossary.
	function luminance(c) {
		const part = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
		return 0.2126 * part(c.r) + 0.7152 * part(c.g) + 0.0722 * part(c.b);
	}
	function contrast(a, b) {
		const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m);
		return (x + 0.05) / (y + 0.05);
	}
	const hex = c => "#" + [c.r, c.g, c.b].map(v => Math.round(v).toString(16).padStart(2, "0")).join("");

	// canvas is what is behind everything: the colour scheme's own.
	function canvas() {
		const el = document.createElement("i");
		el.style.backgroundColor = "Canvas";
		document.documentElement.append(el);
		const c = colour(getComputedStyle(el).backgroundColor);
		el.remove();
		return c;
	}
	let ground;

	// What is asked of an element again and again is asked once, until forget.
	let kept = [];
	function once(f) {
		let known = new WeakMap();
		kept.push(() => { known = new WeakMap(); });
		return el => {
			if (!known.has(el)) known.set(el, f(el));
			return known.get(el);
		};
	}
	const forget = () => kept.forEach(f => f());
	const styleOf = once(el => getComputedStyle(el)); // lives: it follows what changes
	const boxOf = once(el => el.getBoundingClientRect());
	const opacity = once(el => parseFloat(styleOf(el).opacity) * (el.parentElement ? opacity(el.parentElement) : 1));
	// An image that is small and not repeated is an ornament, such as the arrow
	// of a list; anything else behind text makes its contrast unknown.
	function ornament(style) {
		return style.backgroundImage === "none" ||
			style.backgroundRepeat.split(",").every(r => r.trim().startsWith("no-repeat"));
	}
	// behind is the colour an element's content is painted on: its own
	// background over all that is below it at the point, where that can be asked
	// for, else over those of its ancestors.
	function behind(el, x, y) {
		let stack = [];
		if (x !== undefined) {
			const all = document.elementsFromPoint(x, y);
			const at = all.indexOf(el);
			if (at >= 0) stack = all.slice(at);
		}
		if (!stack.length) for (let up = el; up; up = up.parentElement) stack.push(up);
		let c = ground, unknown = null;
		for (const layer of stack.reverse()) {
			const style = styleOf(layer);
			if (!ornament(style)) unknown = layer;
			const paint = colour(style.backgroundColor);
			if (paint.a === 0) continue;
			if (paint.a === 1 && opacity(layer) === 1) unknown = ornament(style) ? null : layer;
			c = over({...paint, a: paint.a * opacity(layer)}, c);
		}
		return {colour: c, unknown};
	}

	// ---- what can be seen

	const cut = once(el => {
		const style = styleOf(el);
		if (style.overflow !== "visible" || style.clipPath !== "none" || style.clip !== "auto") {
			const box = boxOf(el);
			if (box.width <= 1.5 && box.height <= 1.5) return true;
			if (style.clipPath.startsWith("inset(50%") || style.clipPath.startsWith("inset(100%")) return true;
		}
		return el.parentElement ? cut(el.parentElement) : false;
	});
	const shown = once(el => {
		if (!el.checkVisibility({opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true})) return false;
		const box = boxOf(el);
		return box.right + scrollX > 0 && box.bottom + scrollY > 0 && !cut(el);
	});
	function texts() {
		const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		const found = [];
		for (let n; (n = walker.nextNode());) {
			const el = n.parentElement;
			if (!n.data.trim() || el.closest("script,style,noscript,option,template,title,textarea,svg")) continue;
			if (!shown(el)) continue;
			const range = document.createRange();
			range.selectNodeContents(n);
			const box = [...range.getClientRects()].find(r => r.width > 1 && r.height > 1);
			if (box) found.push({node: n, el, box});
		}
		return found;
	}
	const disabled = el => el.closest(":disabled,[aria-disabled=true]") ||
		(el.closest("label") && el.closest("label").control && el.closest("label").control.disabled);

	// Large text needs 3:1, other text 4.5:1 (WCAG 2.2, 1.4.3).
	function needed(style) {
		const size = parseFloat(style.fontSize), bold = parseInt(style.fontWeight, 10) >= 700;
		return size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
	}
	function judge(rule, el, css, style, x, y, of) {
		const back = behind(el, x, y);
		if (back.unknown) return say(rule, el, of + " is on an image or a gradient: " + where(back.unknown));
		const paint = colour(css);
		const seen = over({...paint, a: paint.a * opacity(el)}, back.colour);
		const ratio = contrast(seen, back.colour), need = needed(style);
		if (ratio < need) {
			say(rule, el, `${of} ${hex(seen)} on ${hex(back.colour)} has ${ratio.toFixed(2)}:1, and needs ${need}:1`);
		}
	}

	function contrastOfTexts() {
		for (const {el, box} of texts()) {
			if (disabled(el)) continue;
			const style = styleOf(el);
			judge("contrast", el, style.color, style, box.x + Math.min(box.width / 2, 4), box.y + box.height / 2, "text");
		}
		for (const el of document.body.querySelectorAll("*")) {
			if (!shown(el) || disabled(el)) continue;
			for (const pseudo of ["::before", "::after"]) {
				const style = getComputedStyle(el, pseudo);
				if (/^"[^"]*[\p{L}\p{N}]/u.test(style.content)) judge("contrast", el, style.color, style, undefined, undefined, pseudo);
			}
		}
	}

	const typed = "input:not([type=hidden],[type=checkbox],[type=radio],[type=submit],[type=button],[type=reset],[type=file],[type=image],[type=range],[type=color]),textarea,select";
	function contrastOfControls() {
		for (const el of document.querySelectorAll(typed)) {
			if (!shown(el) || disabled(el)) continue;
			const style = getComputedStyle(el);
			judge("contrast", el, style.color, style, undefined, undefined, "what is typed");
			if (el.placeholder && !el.value) {
				const hint = getComputedStyle(el, "::placeholder");
				const paint = colour(hint.color);
				const faded = `rgb(${paint.r} ${paint.g} ${paint.b} / ${paint.a * parseFloat(hint.opacity)})`;
				judge("contrast", el, faded, hint, undefined, undefined, "placeholder");
			}
			boundary(el);
		}
		for (const el of document.querySelectorAll("[role=switch],[role=checkbox],[role=radio],[role=slider]")) {
			if (shown(el) && !disabled(el) && !el.matches("input") && !el.innerText.trim()) boundary(el);
		}
	}
	// A control that has no text of its own is found by its edge: 3:1 between
	// what is around it and its border or its filling (WCAG 2.2, 1.4.11).
	function boundary(el) {
		const style = getComputedStyle(el);
		const outside = behind(el.parentElement).colour, inside = behind(el).colour;
		let best = contrast(inside, outside);
		for (const side of ["Top", "Bottom"]) {
			if (style[`border${side}Style`] === "none" || parseFloat(style[`border${side}Width`]) < 1) continue;
			best = Math.max(best, contrast(over(colour(style[`border${side}Color`]), inside), outside));
		}
		if (best < 3) say("contrast", el, `the edge of the control has ${best.toFixed(2)}:1, and needs 3:1`);
	}

	// Text that something else is painted over cannot be read.
	function covered() {
		for (const {el, box} of texts()) {
			const x = box.x + box.width / 2, y = box.y + box.height / 2;
			if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
			const top = document.elementFromPoint(x, y);
			if (!top || top.contains(el) || el.contains(top)) continue;
			if (getComputedStyle(el).pointerEvents === "none" || scrolledAway(el, x, y)) continue;
			if (top.matches("label,input,button,a") && (top.contains(el) || parseFloat(getComputedStyle(top).opacity) === 0)) continue;
			if (colour(getComputedStyle(top).backgroundColor).a === 0 && !top.innerText) continue;
			say("covered", el, "its text is behind " + where(top));
		}
	}
	function scrolledAway(el, x, y) {
		for (let up = el.parentElement; up; up = up.parentElement) {
			if (getComputedStyle(up).overflow === "visible") continue;
			const b = up.getBoundingClientRect();
			if (x < b.left || x > b.right || y < b.top || y > b.bottom) return true;
		}
		return false;
	}

	// ---- structure

	const landmark = "main,header,nav,footer,aside,search,dialog,[role=main],[role=banner],[role=navigation],[role=contentinfo],[role=complementary],[role=search],[role=region],[role=dialog],section[aria-label],section[aria-labelledby]";
	function structure() {
		if (!/^[a-z]{2,3}(-|$)/i.test(document.documentElement.lang)) say("language", document.documentElement, "the page does not say its language");
		if (!document.title.trim()) say("title", null, "the page has no title");
		const viewport = document.querySelector("meta[name=viewport]");
		if (!viewport || !/width=device-width/.test(viewport.content)) say("zoom", viewport, "no viewport as wide as the device");
		else if (/user-scalable\s*=\s*(no|0)|maximum-scale\s*=\s*[01](\.\d+)?\s*(,|$)/.test(viewport.content)) say("zoom", viewport, "zooming is turned off");
		if (document.querySelector("meta[http-equiv=refresh i]")) say("refresh", null, "the page loads itself again");
		headings();
		const mains = [...document.querySelectorAll("main,[role=main]")].filter(shown);
		if (mains.length !== 1) say("landmarks", null, `there are ${mains.length} main landmarks, and must be one`);
		for (const {el} of texts()) {
			if (!el.closest(landmark) && !el.closest("a[href^='#']")) say("landmarks", el, "its text is in no landmark");
		}
		const navs = [...document.querySelectorAll("nav,[role=navigation]")].filter(shown);
		const names = navs.map(n => n.getAttribute("aria-label") || n.getAttribute("aria-labelledby") || "");
		if (new Set(names).size < names.length) say("landmarks", navs[0], "several navigations are called the same");
		const skip = document.querySelector("a[href^='#']");
		const first = tabbable()[0];
		if (navs.length && first && first !== skip) say("skip", first, "the first stop is no link to the main content");
	}
	function headings() {
		const all = [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].filter(h => h.checkVisibility({visibilityProperty: true}));
		const first = all.filter(h => h.tagName === "H1");
		if (first.length !== 1) say("headings", first[1] || null, `there are ${first.length} headings of level 1, and must be one`);
		let last = 0;
		for (const h of all) {
			const level = Number(h.tagName[1]);
			if (level > last + 1) say("headings", h, `level ${level} comes after level ${last}`);
			if (!h.innerText.trim()) say("headings", h, "it is empty");
			last = level;
		}
	}

	const pointing = ["for", "aria-labelledby", "aria-describedby", "aria-controls", "aria-errormessage", "aria-details", "aria-owns", "list", "form", "headers"];
	function ids() {
		const seen = new Set();
		for (const el of document.querySelectorAll("[id]")) {
			if (seen.has(el.id)) say("ids", el, `the id "${el.id}" is there twice`);
			seen.add(el.id);
		}
		for (const name of pointing) {
			for (const el of document.querySelectorAll(`[${name}]`)) {
				for (const id of el.getAttribute(name).split(/\s+/)) {
					if (id && !document.getElementById(id)) say("ids", el, `${name} points to "${id}", which is not there`);
				}
			}
		}
		for (const el of document.querySelectorAll("a[href^='#']")) {
			const id = decodeURIComponent(el.getAttribute("href").slice(1));
			if (id && !document.getElementById(id)) say("ids", el, `it leads to "#${id}", which is not there`);
		}
	}

	function labels() {
		for (const el of document.querySelectorAll("input:not([type=hidden],[type=submit],[type=button],[type=reset],[type=image]),select,textarea")) {
			if (!el.checkVisibility()) continue;
			const labelled = [...(el.labels || [])].some(l => l.innerText.trim()) ||
				(el.getAttribute("aria-label") || "").trim() || el.getAttribute("aria-labelledby");
			if (!labelled) say("label", el, "it has no label (a placeholder and a title are none)");
		}
		for (const el of document.querySelectorAll("button,a[href],summary,[role=button],[role=link],[role=switch],[role=tab]")) {
			const words = s => (s || "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
			const name = words(el.getAttribute("aria-label")), text = words(el.innerText);
			if (name && text && !name.includes(text) && !el.querySelector(":scope > [aria-hidden=true]")) say("label", el, "its name does not have the text that is seen on it");
		}
		for (const el of document.querySelectorAll("[aria-invalid=true]")) {
			const ids = ((el.getAttribute("aria-describedby") || "") + " " + (el.getAttribute("aria-errormessage") || "")).split(/\s+/);
			if (!ids.some(id => id && document.getElementById(id) && document.getElementById(id).innerText.trim())) say("error", el, "it is invalid, and nothing says why");
		}
		const radios = new Map();
		for (const el of document.querySelectorAll("input[type=radio]")) {
			if (!el.closest("fieldset,[role=radiogroup]")) radios.set(el.name, el);
		}
		for (const el of radios.values()) say("group", el, "its choices are no group with a name");
		for (const el of document.querySelectorAll("fieldset")) {
			if (!el.querySelector(":scope > legend") && !el.getAttribute("aria-label") && !el.getAttribute("aria-labelledby")) say("group", el, "it has no legend");
		}
		for (const el of document.querySelectorAll("table")) {
			if (!el.checkVisibility()) continue;
			if (!el.querySelector("th") && el.getAttribute("role") !== "presentation") say("table", el, "it has no headers");
			if (!el.caption && !el.getAttribute("aria-label") && !el.getAttribute("aria-labelledby")) say("table", el, "it has no name");
		}
		for (const el of document.querySelectorAll("th")) {
			if (!el.textContent.trim() && !el.querySelector("input,button,[aria-label]")) say("table", el, "a header is empty");
		}
	}

	function markup() {
		for (const el of document.querySelectorAll("a a,a button,button a,button button,a input,button input,label label,label a,summary button,summary a,[role=button] a,[role=button] button")) {
			say("nested", el, "a control within a control");
		}
		for (const el of document.querySelectorAll("[tabindex]")) {
			if (el.tabIndex > 0) say("order", el, "tabindex above 0 takes it out of the order of the page");
		}
		for (const el of document.querySelectorAll("[aria-hidden=true]")) {
			for (const inner of [el, ...el.querySelectorAll("*")]) {
				if (focusable(inner)) say("hidden", inner, "it can be focused, and is hidden from screen readers");
			}
		}
		for (const el of document.querySelectorAll("svg:not([aria-hidden=true],[role=img]),svg[role=img]:not([aria-label],[aria-labelledby])")) {
			if (!el.closest("[aria-hidden=true]") && !el.querySelector(":scope > title")) say("image", el, "nothing says what it shows, nor that it is an ornament");
		}
		for (const el of document.querySelectorAll("*")) {
			for (const a of el.attributes) {
				if (a.name === "style" || a.name.startsWith("on")) say("inline", el, `the attribute ${a.name} is not allowed by the security policy`);
			}
		}
		for (const el of document.querySelectorAll("[hidden]:not([hidden=until-found])")) {
			if (getComputedStyle(el).display !== "none") say("hidden", el, "it is said to be hidden, and is shown");
		}
		for (const el of document.querySelectorAll("[role]")) {
			if (!roles.has(el.getAttribute("role"))) say("role", el, `"${el.getAttribute("role")}" is no role that we use`);
		}
		for (const a of document.getAnimations ? document.getAnimations() : []) {
			if (a.playState === "running" && a.effect.getComputedTiming().duration > 10) say("motion", a.effect.target, "it moves though no motion is wanted");
		}
	}
	const roles = new Set(("alert alertdialog banner button cell checkbox combobox columnheader complementary contentinfo definition dialog document " +
		"group heading img link list listbox listitem log main menu menuitem meter navigation none note option presentation progressbar radio radiogroup " +
		"region row rowgroup rowheader search searchbox slider status switch tab table tablist tabpanel term textbox timer toolbar tooltip").split(" "));

	// Links among words are told from them without colour, or by 3:1 (WCAG 2.2, 1.4.1).
	function links() {
		for (const el of document.querySelectorAll("p a[href],li a[href],dd a[href],td a[href],label a[href]")) {
			const words = [...el.parentElement.childNodes].some(n => n.nodeType === Node.TEXT_NODE && /[\p{L}]{2}/u.test(n.data));
			if (!words || !shown(el)) continue;
			const style = getComputedStyle(el);
			if (style.textDecorationLine.includes("underline") || parseFloat(style.borderBottomWidth) > 0) continue;
			const ratio = contrast(colour(style.color), colour(getComputedStyle(el.parentElement).color));
			if (ratio < 3) say("link", el, `it is told from the words around it by colour alone, with ${ratio.toFixed(2)}:1`);
		}
	}

	// ---- size and room

	// A target is 24 by 24, or has so much room to the next one (WCAG 2.2, 2.5.8).
	function targets() {
		const all = [...document.querySelectorAll("a[href],button,input:not([type=hidden]),select,textarea,summary,[role=button],[role=switch]")]
			.filter(el => shown(el) && !disabled(el)).map(el => ({el, box: target(el)}));
		for (const {el, box} of all) {
			if ((box.width >= 23.5 && box.height >= 23.5) || inline(el)) continue;
			const x = box.x + box.width / 2, y = box.y + box.height / 2;
			const near = all.find(o => {
				if (o.el === el || o.el.contains(el) || el.contains(o.el)) return false;
				const small = o.box.width < 23.5 || o.box.height < 23.5;
				if (small) return Math.hypot(o.box.x + o.box.width / 2 - x, o.box.y + o.box.height / 2 - y) < 24;
				const dx = Math.max(o.box.x - x, 0, x - o.box.x - o.box.width), dy = Math.max(o.box.y - y, 0, y - o.box.y - o.box.height);
				return Math.hypot(dx, dy) < 12;
			});
			if (near) say("target", el, `it is ${Math.round(box.width)} by ${Math.round(box.height)} and too near to ${where(near.el)}`);
		}
	}
	// What hits a control is also its label, where they touch.
	function target(el) {
		let b = el.getBoundingClientRect();
		for (const l of el.labels || []) {
			const o = l.getBoundingClientRect();
			if (o.width === 0 || o.left > b.right + 16 || o.right < b.left - 16 || o.top > b.bottom || o.bottom < b.top) continue;
			const x = Math.min(b.x, o.x), y = Math.min(b.y, o.y);
			b = new DOMRect(x, y, Math.max(b.right, o.right) - x, Math.max(b.bottom, o.bottom) - y);
		}
		return b;
	}
	const inline = el => el.matches("a[href]") && getComputedStyle(el).display === "inline" &&
		[...el.parentElement.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim());

	function room() {
		const root = document.scrollingElement;
		if (root.scrollWidth > root.clientWidth) {
			const wide = [...document.body.querySelectorAll("*")]
				.filter(el => el.getBoundingClientRect().right > root.clientWidth + 0.5 && el.checkVisibility() && !clipped(el))
				.sort((a, b) => b.getBoundingClientRect().right - a.getBoundingClientRect().right).slice(0, 4);
			say("room", wide[0] || null, `the page is ${root.scrollWidth} wide and has ${root.clientWidth}: ${wide.map(where).join("; ")}`);
		}
		for (const el of document.body.querySelectorAll("*")) {
			const style = getComputedStyle(el);
			if (!/auto|scroll/.test(style.overflowX + style.overflowY) || el.matches("textarea,select,input")) continue;
			if (el.scrollWidth <= el.clientWidth + 1 && el.scrollHeight <= el.clientHeight + 1) continue;
			if (el.tabIndex < 0 && ![...el.querySelectorAll("*")].some(focusable)) say("room", el, "it scrolls, but not by keyboard");
		}
	}
	// What is placed absolutely is cut off only by what it is placed in.
	const clipped = el => {
		let placed = getComputedStyle(el).position === "absolute";
		for (let up = el.parentElement; up && up !== document.body; up = up.parentElement) {
			const style = getComputedStyle(up);
			if (placed && style.position === "static") continue;
			if (style.overflowX !== "visible") return true;
			placed = style.position === "absolute";
		}
		return false;
	};

	// ---- focus

	function focusable(el) {
		return el.tabIndex >= 0 && !el.disabled && el.checkVisibility({visibilityProperty: true}) && !el.closest("[inert]") &&
			(el.matches("a[href],button,input:not([type=hidden]),select,textarea,summary,iframe,audio[controls],video[controls]") || el.hasAttribute("tabindex"));
	}
	function tabbable() {
		const seen = new Set();
		return [...document.querySelectorAll("*")].filter(el => {
			if (!focusable(el) || (el.closest("details:not([open])") && !el.matches("summary"))) return false;
			if (!el.matches("input[type=radio]")) return true;
			// Of several choices one is a stop: the one that is chosen.
			const group = [...document.querySelectorAll("input[type=radio]")].filter(r => r.name === el.name && r.form === el.form);
			const stop = group.find(r => r.checked) || group[0];
			if (el !== stop || seen.has(stop)) return false;
			seen.add(stop);
			return true;
		});
	}
	// bearers are the elements that may show that one of them has the focus.
	function bearers(el) {
		const all = [el, ...(el.labels || [])];
		if (el.nextElementSibling) all.push(el.nextElementSibling);
		if (el.previousElementSibling) all.push(el.previousElementSibling);
		if (el.parentElement) all.push(el.parentElement);
		return all;
	}
	const mark = el => {
		const s = getComputedStyle(el);
		return {outline: s.outlineStyle, width: parseFloat(s.outlineWidth), colour: s.outlineColor, shadow: s.boxShadow, edge: s.borderTopColor};
	};
	let before = new Map(), stops = [], reached = new Set();

	// top puts the keyboard before everything else: to blur alone would have the
	// next Tab go on from where the focus was.
	function top() {
		const html = document.documentElement;
		html.tabIndex = -1;
		html.focus({preventScroll: true});
		html.removeAttribute("tabindex");
		scrollTo(0, 0);
	}
	function begin() {
		top();
		before = new Map(); reached = new Set(); problems.length = 0;
		forget();
		ground = canvas();
		stops = tabbable();
		for (const el of stops) for (const b of bearers(el)) if (!before.has(b)) before.set(b, mark(b));
		return stops.length;
	}
	// stop judges the element that has the focus; false when it is none, or one
	// that was there before. Some fields are several stops, such as one for dates.
	function stop() {
		const el = document.activeElement;
		if (!el || el === document.body || el === document.documentElement) return false;
		if (reached.has(el)) return el === [...reached].at(-1) && el.matches("input[type=date],input[type=time],input[type=datetime-local],input[type=month],input[type=week]");
		reached.add(el);
		visible(el);
		return true;
	}
	function visible(el) {
		forget(); // the page may look otherwise with the focus there
		const around = behind(el.parentElement).colour;
		let weak = 0;
		const strong = bearers(el).some(b => {
			const was = before.get(b), is = mark(b);
			if (!was) return false;
			if (is.outline !== "none" && is.width >= 1 && was.outline === "none") {
				if (is.outline === "auto") return true; // the browser's own, in two colours
				const ratio = contrast(over(colour(is.colour), around), around);
				weak = Math.max(weak, ratio);
				return ratio >= 3 && is.width >= 2;
			}
			if (is.shadow !== was.shadow && is.shadow !== "none") {
				const ratio = contrast(over(colour(is.shadow.match(/^[a-z-]+\([^)]*\)/)[0]), around), around);
				weak = Math.max(weak, ratio);
				return ratio >= 3;
			}
			if (is.edge !== was.edge) {
				const ratio = contrast(colour(is.edge), colour(was.edge));
				weak = Math.max(weak, ratio);
				return ratio >= 3;
			}
			return false;
		});
		if (!strong) say("focus", el, weak ? `the mark of the focus is too weak: ${weak.toFixed(2)}:1` : "nothing shows that it has the focus");
		if (!shown(el) && !bearers(el).some(shown)) return say("focus", el, "it has the focus and cannot be seen");
		hidden(el);
	}
	// Some of what has the focus must be in the window, and not all of it behind
	// what stays there when the page is scrolled (WCAG 2.2, 2.4.11).
	function hidden(el) {
		const box = el.getBoundingClientRect();
		const left = Math.max(box.left, 0), right = Math.min(box.right, innerWidth);
		const over = Math.max(box.top, 0), under = Math.min(box.bottom, innerHeight);
		if (right - left < 1 || under - over < 1) return say("focus", el, "it has the focus and is outside the window");
		let by = null;
		for (const part of [0.5, 0.05, 0.95]) {
			const at = document.elementFromPoint((left + right) / 2, over + (under - over) * part);
			by = null;
			for (let up = at; up && !by; up = up.parentElement) {
				if (/fixed|sticky/.test(getComputedStyle(up).position) && !up.contains(el)) by = up;
			}
			if (!by) return;
		}
		say("focus", el, "it has the focus and is hidden by " + where(by));
	}
	function end() {
		for (const el of stops) if (!reached.has(el)) say("keyboard", el, "the Tab key does not get there");
		top();
		return problems.splice(0);
	}
	// walk goes through all stops by script, after one real Tab has told the
	// browser that a keyboard is used.
	function walk() {
		for (const el of stops) {
			el.focus();
			if (document.activeElement === el) stop();
		}
		return end();
	}

	// look looks at everything; at colours alone where the page differs in
	// nothing else from what was looked at.
	function look(coloursOnly) {
		problems.length = 0;
		forget();
		ground = canvas();
		contrastOfTexts(); contrastOfControls();
		if (coloursOnly) return problems.splice(0);
		covered(); structure(); ids(); labels(); markup(); links(); targets(); room();
		return problems.splice(0);
	}
	return {look, begin, stop, walk, end, height: () => Math.ceil(document.documentElement.scrollHeight)};
})();

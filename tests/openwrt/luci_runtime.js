'use strict';
/* As much of LuCI's runtime as the page uses, and how it differs from the real one:
 *
 * - E() and dom are LuCI's in what they do with attributes and children, its trap included: a child that is a text and
 *   not in an array is taken for HTML.
 * - rpc.declare() answers from `answers[method]`: an object, an Error (a call that rpcd or ubus refused), or a list of
 *   these that are used up one by one, the last again and again. Each call is written into `calls`.
 * - poll does not run by itself: `tick()` does one round.
 * - ui shows modals and notifications as plain elements; L.hasViewPermission() is what the check says.
 * - 'require x'; at the top of a view is read and the module handed in, as LuCI's loader does.
 * - There is no theme, no menu, no session and no translation. */

const calls = [];
const rounds = [];
let answers = {};
let mayWrite = true;

String.prototype.format = function(...values) {
	return this.replace(/%[sd]/g, () => values.shift());
};

const _ = (text) => text;

const dom = {
	elem: (node) => node != null && typeof node == 'object' && 'nodeType' in node,
	append(node, children) {
		if (Array.isArray(children))
			for (const child of children) {
				if (dom.elem(child))
					node.appendChild(child);
				else if (child !== null && child !== undefined)
					node.appendChild(document.createTextNode(`${child}`));
			}
		else if (typeof children == 'function')
			dom.append(node, children(node));
		else if (dom.elem(children))
			node.appendChild(children);
		else if (children !== null && children !== undefined)
			node.innerHTML = `${children}`;
	},
	content(node, children) {
		while (node.firstChild)
			node.removeChild(node.firstChild);
		dom.append(node, children);
	}
};

function E(tag, attributes, children) {
	if (Array.isArray(attributes) || !(attributes instanceof Object) || dom.elem(attributes))
		[ attributes, children ] = [ {}, attributes ];
	const node = document.createElement(tag);
	for (const [ name, value ] of Object.entries(attributes)) {
		if (value === null || value === undefined)
			continue;
		if (typeof value == 'function')
			node.addEventListener(name, value);
		else
			node.setAttribute(name, typeof value == 'object' ? JSON.stringify(value) : value);
	}
	dom.append(node, children);
	return node;
}

const L = { hasViewPermission: () => mayWrite };

const modules = {
	dom,
	poll: { add: (round) => rounds.push(round) },
	rpc: {
		declare: ({ object, method, params = [], reject }) => (...values) => {
			calls.push({ object, method, given: Object.fromEntries(params.map((name, i) => [ name, values[i] ])) });
			const known = answers[method];
			const answer = Array.isArray(known) ? (known.length > 1 ? known.shift() : known[0]) : known;
			if (answer === undefined || answer instanceof Error)
				return reject ? Promise.reject(answer || new Error(`${object}/${method}: no such method`)) : Promise.resolve(undefined);
			return Promise.resolve(structuredClone(answer));
		}
	},
	ui: {
		showModal: (title, children) => dom.content(document.querySelector('#modal'), [ E('h4', {}, [ title ]) ].concat(children)),
		hideModal: () => dom.content(document.querySelector('#modal'), []),
		addNotification: (title, children, kind) => document.querySelector('#notifications').appendChild(
			E('div', { 'class': `alert-message ${kind}` }, [ children ]))
	},
	view: { extend: (members) => members }
};

async function open(source) {
	const names = [ ...source.matchAll(/^'require ([\w.]+)';$/gm) ].map((found) => found[1]);
	const members = new Function('L', 'E', '_', ...names, source)(L, E, _, ...names.map((name) => {
		if (!modules[name])
			throw new Error(`LuCI's module ${name} is not stubbed`);
		return modules[name];
	}));
	dom.content(document.querySelector('#view'), await members.render(await members.load()));
	return members;
}

async function settle() {
	for (let i = 0; i < 20; i++)
		await null;
}

async function tick() {
	await Promise.all(rounds.map((round) => round()));
}

async function press(title, where = '#view') {
	const found = [ ...document.querySelectorAll(`${where} button`) ].find((button) => button.textContent == title);
	if (!found)
		throw new Error(`there is no button "${title}"`);
	found.click();
	await settle();
}

const text = (selector) => [ ...document.querySelectorAll(selector) ].map((node) => node.textContent);

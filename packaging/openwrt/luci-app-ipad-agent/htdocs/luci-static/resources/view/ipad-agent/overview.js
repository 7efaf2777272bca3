'use strict';
'require view';
'require rpc';
'require poll';
'require ui';
'require dom';

/* The agent's status, profiles, eIMs and history, from the ubus object `ipad` (docs/openwrt.md).
 *
 * Names of profiles, eIMs and networks are whatever a card or a server says. LuCI takes a child that is no array for
 * HTML, so every text here is in an array. */

const EVERY_S = 10;
const EVENTS_SHOWN = 30;

const callStatus = rpc.declare({ object: 'ipad', method: 'status', reject: true });
const callHistory = rpc.declare({ object: 'ipad', method: 'history', params: [ 'count' ], reject: true });
const callEvents = rpc.declare({ object: 'ipad', method: 'events', params: [ 'count' ], reject: true });
const callPoll = rpc.declare({ object: 'ipad', method: 'poll', params: [ 'eim_id' ], reject: true });
const callConfirm = rpc.declare({ object: 'ipad', method: 'confirm', reject: true });
const callRollback = rpc.declare({ object: 'ipad', method: 'rollback', reject: true });

const LABELS = { good: 'success', busy: 'notice', waiting: 'warning', bad: 'danger' };

/* What was asked for, or an Error with a sentence and a hint: rpcd's own errors are rejections, the agent's are
 * members of the answer. */
function asked(promise, member) {
	return promise.then((answer) => {
		const error = answer?.error;
		if (error)
			throw Object.assign(new Error(error.sentence || error.name), { hint: error.hint, name: error.name });
		if (member && (answer?.[member] === null || typeof answer?.[member] != 'object'))
			throw new Error(_('The agent gave an answer that cannot be read.'));
		return member ? answer[member] : answer;
	});
}

function failure(error) {
	return { error: error.message || `${error}`, hint: error.hint || '' };
}

function span(seconds) {
	const s = Math.round(Math.abs(seconds));
	if (s < 90)
		return _('%d s').format(s);
	if (s < 5400)
		return _('%d min').format(Math.round(s / 60));
	if (s < 172800)
		return _('%d h').format(Math.round(s / 3600));
	return _('%d days').format(Math.round(s / 86400));
}

/* Ages are by a clock that never jumps; the date of a router without a battery may be wrong. */
function when(time) {
	if (!time || typeof time.age_s != 'number')
		return '';
	return time.age_s >= 0 ? _('%s ago').format(span(time.age_s)) : _('in %s').format(span(time.age_s));
}

function table(titles, rows, placeholder) {
	const lines = rows.map((cells) => E('tr', { 'class': 'tr' },
		cells.map((cell, i) => E('td', { 'class': 'td', 'data-title': titles[i] }, Array.isArray(cell) ? cell : [ cell ?? '' ]))));
	if (!lines.length)
		lines.push(E('tr', { 'class': 'tr placeholder' }, [ E('td', { 'class': 'td', 'colspan': `${titles.length}` }, [ placeholder ]) ]));
	const head = titles.some(Boolean)
		? [ E('tr', { 'class': 'tr table-titles' }, titles.map((title) => E('th', { 'class': 'th' }, [ title ]))) ]
		: [];
	return E('table', { 'class': 'table' }, head.concat(lines));
}

function section(id, title, content) {
	return E('div', { 'class': 'cbi-section', 'id': id }, [ E('h3', {}, [ title ]) ].concat(content));
}

function label(kind, text) {
	return E('span', { 'class': `label ${LABELS[kind] || ''}` }, [ text ]);
}

function notice(kind, sentence, hint) {
	return E('div', { 'class': `alert-message ${kind}` }, [
		E('p', {}, [ sentence ])
	].concat(hint ? [ E('p', {}, [ hint ]) ] : []));
}

function facts(status) {
	const radio = status.radio, modem = status.modem, card = status.card;
	const rows = [
		[ _('Next'), status.verdict.next ? [ status.verdict.next, ' ', when(status.verdict.next_at) ] : '' ],
		[ _('To do'), status.verdict.advice ],
		[ _('Card'), card ? `${card.kind}, EID ${card.eid}` : '' ],
		[ _('Modem'), modem ? [ modem.manufacturer, modem.model, modem.port ].filter(Boolean).join(', ') : '' ],
		[ _('Network'), radio ? [ radio.network, radio.technology, radio.registration,
			radio.signal_dbm == null ? null : `${radio.signal_dbm} dBm` ].filter(Boolean).join(', ') : '' ],
		[ _('Still to deliver'), status.owed.map((owed) => _('%s for %s').format(owed.what, owed.receiver)).join('; ') ],
		[ _('Version'), status.version ]
	];
	return table([ '', '' ], rows.filter((row) => row[1]), '');
}

function switchUnderWay(status) {
	const change = status.switch;
	if (!change || change.ended)
		return [];
	const stages = change.stages.map((stage) => [
		stage.name,
		stage.ok === true ? label('good', _('yes')) : stage.ok === false ? label('bad', _('no')) : '–',
		stage.detail
	]);
	return [ section('ipad-switch', _('Change of the profile under way'), [
		E('p', {}, [ _('From %s to %s; without proof the way back is taken %s.').format(
			change.previous || _('none'), change.target || _('none'), when(change.deadline)) ]),
		table([ _('Proof'), _('Passed'), _('Detail') ], stages, _('Nothing tried yet')),
		E('div', { 'class': 'right' }, [
			button(_('Keep the new profile'), 'cbi-button-apply', () => callConfirm(),
				_('Accept the new profile as proved? The agent will not go back by itself any more.')),
			' ',
			button(_('Go back now'), 'cbi-button-negative', () => callRollback(),
				_('Go back to the profile before?'))
		])
	]) ];
}

function profiles(status) {
	return section('ipad-profiles', _('Profiles'), [ table(
		[ _('ICCID'), _('Name'), _('Provider'), _('State'), _('Marks') ],
		status.profiles.map((profile) => [
			profile.iccid,
			profile.nickname || profile.name,
			profile.provider,
			[ profile.enabled ? label('good', _('enabled')) : _('disabled') ],
			[ profile.fallback ? _('fallback') : null, profile.emergency ? _('emergency') : null,
				profile.profile_class == 'operational' ? null : profile.profile_class ].concat(profile.policy_rules)
				.filter(Boolean).join(', ')
		]),
		status.card ? _('The card has no profile.') : _('The card has not been read yet.')
	) ]);
}

function eims(status) {
	return section('ipad-eims', _('Remote managers (eIM)'), [ table(
		[ _('eIM'), _('Reached by'), _('Last answer'), _('Next'), _('Trouble'), '' ],
		status.eims.map((eim) => [
			eim.eim_id,
			[ eim.carrier, eim.host ].filter(Boolean).join(', '),
			eim.last_success ? when(eim.last_success) : _('none yet'),
			[ when(eim.next_poll), eim.next_reason ].filter(Boolean).join(', '),
			eim.trouble ? [ label(eim.failures > 2 ? 'bad' : 'waiting', eim.failures ? `${eim.failures} ×` : '!'), ' ', eim.trouble ] : '',
			[ button(_('Ask now'), 'cbi-button-action', () => callPoll(eim.eim_id)) ]
		]),
		status.card ? _('The card names no eIM.') : _('The card has not been read yet.')
	) ]);
}

function history(past) {
	if (past.error)
		return section('ipad-history', _('History'), [ notice('warning', past.error, past.hint) ]);
	if (past.entries)
		return section('ipad-history', _('History'), [ table(
			[ _('When'), _('What'), _('Wanted by'), _('How it went') ],
			past.entries.slice().reverse().map((entry) => [
				entry.at ? when(entry.at) : _('unknown'),
				[ entry.what, entry.times > 1 ? `(${entry.times} ×)` : null ].filter(Boolean).join(' '),
				[ entry.by, entry.eim_id ].filter(Boolean).join(', '),
				[ entry.outcome, entry.reason ].filter(Boolean).join(': ')
			]),
			_('Nothing was done on this device yet.')
		) ]);
	return section('ipad-history', _('Last messages'), [
		E('p', {}, [ _('This agent keeps no history of its own; these are the last messages of its log.') ]),
		table([ _('Id'), _('Level'), _('Message') ],
			past.events.slice().reverse().map((event) => [ event.id, event.level, event.text ]), _('None yet'))
	]);
}

function button(title, style, action, question) {
	return E('button', {
		'class': `btn cbi-button ${style}`,
		'disabled': L.hasViewPermission() ? null : '',
		'click': () => question ? sure(title, style, question, action) : act(action)
	}, [ title ]);
}

function sure(title, style, question, action) {
	ui.showModal(title, [
		E('p', {}, [ question ]),
		E('div', { 'class': 'right' }, [
			E('button', { 'class': 'btn', 'click': ui.hideModal }, [ _('Cancel') ]),
			' ',
			E('button', { 'class': `btn cbi-button ${style}`, 'click': () => { ui.hideModal(); return act(action); } }, [ title ])
		])
	]);
}

function act(action) {
	return asked(action()).then(
		() => ui.addNotification(null, E('p', {}, [ _('The agent has begun. What comes of it shows below.') ]), 'info'),
		(error) => ui.addNotification(null, E('p', {}, [ error.message, ' ', error.hint || '' ]), 'danger')
	);
}

return view.extend({
	load() {
		const past = asked(callHistory(EVENTS_SHOWN), 'history').then(
			(entries) => ({ entries }),
			/* An agent from before there was a history has none; anything else is trouble. */
			(error) => error.name == 'MethodNotFound'
				? asked(callEvents(EVENTS_SHOWN), 'events').then((events) => ({ events }), failure)
				: failure(error));
		return Promise.all([ asked(callStatus(), 'status').catch(failure), past ]);
	},

	render(loaded) {
		const body = E('div', {}, this.content(loaded));
		poll.add(() => this.load().then((again) => dom.content(body, this.content(again))), EVERY_S);
		return E('div', {}, [ E('h2', {}, [ _('eSIM') ]), body ]);
	},

	content([ status, past ]) {
		if (status.error)
			return [ notice('danger', status.error, status.hint) ];
		return [ section('ipad-status', _('Status'), [
			E('p', {}, [ label(status.verdict.severity, status.verdict.state), ' ', status.verdict.sentence ])
		].concat(
			status.trouble ? [ notice('danger', status.trouble.sentence, status.trouble.hint) ] : [],
			status.warnings.map((warning) => notice('warning', `${warning.sentence} (${warning.id})`, warning.what_to_do)),
			[ facts(status) ])) ].concat(
			switchUnderWay(status), [ profiles(status), eims(status), history(past) ]);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});

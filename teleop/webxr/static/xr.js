// Drive a robot with a headset: the page before it is put on, and the session.
import {Input, pulse} from './input.js';
import {Link} from './link.js';
import {Scene, colourOf, wordOf} from './scene.js';
import {Video} from './video.js';

const NOTE_MS = 5000, STANDING = ['HOLD', 'LOST'];
const $ = id => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get('t') ?? '';
const input = new Input();
let mode = '', status = null, pilot = {name: '', you: false}, session = null, scene = null, space = null, task = '';
let note = '', noted = 0;  // the newest answer to something the person did

const link = new Link(token, {
  hello: () => ({client: 'xr', role: session ? 'pilot' : 'observer', name: $('name').value.trim()}),
  onMessage: receive, onChange: connectionChanged,
});
const video = new Video(token, link, $('cameras'));

// -- what the console says --------------------------------------------------------------------------------------------

function receive(body) {
  switch (body.type) {
    case 'welcome':
      task = body.task ?? '';
      video.watch(body.cameras ?? []);
      if (session) link.send({type: 'pilot', want: true});
      break;
    case 'state': status = body; break;
    case 'pilot': setPilot(body); break;
    case 'haptic': pulse(session, body.hand, body.strength, body.seconds); return;
    case 'ack': remark(body.ok ? '' : body.reason); break;
    case 'refused': remark(body.reason); break;
    default: return;
  }
  show();
}

function remark(text) {
  note = text;
  noted = performance.now();
}

function setPilot({name, you}) {
  const before = pilot.you;
  pilot = {name: name ?? '', you: Boolean(you)};
  if (session && pilot.you && !before) tell('start');
}

function connectionChanged() {
  if (!link.ready) {
    status = null;
    pilot = {name: '', you: false};
    pulse(session, '', 1, .3);
  }
  show();
}

// -- the page -----------------------------------------------------------------------------------------------------------

const stateNow = () => link.ready ? status?.state ?? 'IDLE' : 'OFFLINE';

function pilotText() {
  if (pilot.you) return 'you';
  return pilot.name ? `${pilot.name}; you watch and may stop` : 'nobody';
}

function reasonText() {
  if (!link.ready) return link.problem || 'No connection to the console; trying again.';
  return status?.reason || status?.message || '';
}

function show() {
  const state = stateNow();
  if (performance.now() - noted > NOTE_MS) note = '';
  document.documentElement.style.setProperty('--state', colourOf(state));
  Object.assign(document.body.dataset, {link: link.ready ? 'open' : link.final ? 'refused' : 'connecting', session: session ? 'on' : 'off', pilot: String(pilot.you)});
  $('state').textContent = wordOf(state);
  $('state').dataset.state = state;
  $('reason').textContent = note || reasonText();
  $('link').textContent = link.ready ? `connected${Number.isFinite(link.rtt) ? `, ${Math.round(link.rtt)} ms` : ''}` : link.problem || 'connecting…';
  $('pilot').textContent = pilotText();
  $('resume').hidden = !(pilot.you && standing());
  $('take').hidden = pilot.you || !pilot.name || !link.ready;
  $('task').textContent = task || '–';
  $('enter').disabled = !mode || Boolean(session);
  $('enter').textContent = session ? 'In the headset' : mode === 'immersive-ar' ? 'Enter AR' : 'Enter VR';
}

$('enter').onclick = () => enter().catch(error => {
  $('hint').textContent = `The session did not start: ${error.message}`;
});
$('estop').onclick = () => link.press('estop', 'the button on the VR page');
$('resume').onclick = resume;
$('take').onclick = () => link.send({type: 'pilot', want: true, take: true});
$('name').value = localStorage.getItem('robot_hil name') ?? '';
$('name').onchange = () => {
  localStorage.setItem('robot_hil name', $('name').value.trim());
  link.restart();
};

async function lookForHeadset() {
  if (!window.isSecureContext) return '';
  for (const mode of ['immersive-ar', 'immersive-vr']) {
    if (await navigator.xr?.isSessionSupported(mode).catch(() => false)) return mode;
  }
  return '';
}

async function prepare() {
  mode = await lookForHeadset();
  show();
  if (mode) $('hint').textContent = 'Put the headset on, take the controllers, and press this button.';
  else if (!window.isSecureContext) $('hint').textContent = 'This address is not secure, so browsers hide the headset: use https, or http://localhost over a cable.';
  else $('hint').textContent = 'No headset here. Open this page in the browser of the headset.';
}

// -- the session --------------------------------------------------------------------------------------------------------

async function enter() {
  if (session) return;
  const canvas = document.createElement('canvas');
  const gl = canvas.getContext('webgl2', {xrCompatible: true, antialias: true, alpha: true});
  if (!gl) throw new Error('this browser has no WebGL 2');
  const started = await navigator.xr.requestSession(mode, {requiredFeatures: ['local-floor']});
  try {
    await gl.makeXRCompatible?.();
    scene = new Scene(gl, mode === 'immersive-ar');
    started.updateRenderState({baseLayer: new XRWebGLLayer(started, gl)});
    space = await started.requestReferenceSpace('local-floor');
  } catch (error) {
    await started.end();
    throw error;
  }
  session = started;
  session.onend = () => {
    tell('end');
    link.send({type: 'pilot', want: false});
    session = scene = null;
    show();
  };
  session.onvisibilitychange = () => tell({visible: 'visible', 'visible-blurred': 'blurred', hidden: 'hidden'}[session.visibilityState]);
  session.oninputsourceschange = () => tell('sources');
  space.onreset = () => tell('recentre');
  link.send({type: 'pilot', want: true});
  if (pilot.you) tell('start');
  show();
  session.requestAnimationFrame(frame);
}

const standing = () => STANDING.includes(stateNow());

function resume() {
  link.press('resume', 'the VR page');
}

function tell(kind) {
  if (pilot.you) link.send(input.event(kind));
}

function frame(_, xrFrame) {
  if (!session) return;
  session.requestAnimationFrame(frame);
  link.tick();
  const message = input.frame(session, xrFrame, space);
  if (input.resumePressed(message, pilot.you && standing())) resume();
  if (pilot.you) input.sent(link.sendFrame(message), message);
  if (input.stopPressed()) link.press('estop', 'both sticks of the VR controllers');
  const viewer = xrFrame.getViewerPose(space);
  if (viewer) scene.draw(session.renderState.baseLayer, viewer, shown(xrFrame));
}

function shown(xrFrame) {
  const hands = [];
  for (const {gripSpace, handedness} of session.inputSources) {
    const pose = gripSpace && xrFrame.getPose(gripSpace, space);
    if (!pose) continue;
    const squeezed = (input.now[handedness]?.[1] ?? 0) >= .9;
    hands.push({matrix: pose.transform.matrix, colour: pose.emulatedPosition ? '#ff5a4f' : squeezed ? colourOf(stateNow()) : '#c8d2dc'});
  }
  const seat = pilot.you ? '' : `Pilot: ${pilotText()}`;
  const goOn = standing() && pilot.you ? 'Let go, then A or X: go on' : '';
  const lines = [note || reasonText(), goOn, seat || (status?.driver ? `Driving: ${status.driver}` : ''), task].filter(Boolean);
  return {state: stateNow(), lines, cameras: [...video.cameras.values()], hands};
}

navigator.xr?.addEventListener?.('devicechange', prepare);
setInterval(show, 500);
prepare();
show();

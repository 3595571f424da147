// What is seen in the headset: floor, hands, a board that says who drives, the cameras, and a frame in the state's colour.
const VERTEX = `#version 300 es
in vec3 place; in vec2 spot; uniform mat4 matrix; out vec2 at;
void main() { gl_Position = matrix * vec4(place, 1.0); at = spot; }`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec2 at; uniform vec4 colour; uniform sampler2D image; uniform float textured; out vec4 result;
void main() { result = textured > 0.5 ? texture(image, at) * colour : colour; }`;

// The same words and colours as in the console.
const LOOKS = {
  POLICY: ['POLICY', '#5aa9ff'], ENGAGING: ['HUMAN', '#ffb454'], HUMAN: ['HUMAN', '#ffb454'], RELEASING: ['HUMAN', '#ffb454'],
  HOLD: ['HOLD', '#d58cff'], LOST: ['LOST', '#ffe14d'], ESTOP: ['STOPPED', '#ff5a4f'], IDLE: ['IDLE', '#8fa3b8'],
  'NO ROBOT': ['NO ROBOT', '#5d6c7d'], OFFLINE: ['NO LINK', '#ffe14d'],
};
export const wordOf = state => (LOOKS[state] ?? [state])[0];
export const colourOf = state => (LOOKS[state] ?? LOOKS.IDLE)[1];
const AWAY_M = 1.7, BOARD = [1024, 320], TAG = [512, 64], CHIP = [512, 96];
const rgba = (hex, alpha = 1) => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16) / 255).concat(alpha);

function product(a, b) {  // 4x4, columns first, as WebGL has them
  const out = new Float32Array(16);
  for (let c = 0; c < 4; c++) {
    for (let r = 0; r < 4; r++) {
      for (let k = 0; k < 4; k++) out[4 * c + r] += a[4 * k + r] * b[4 * c + k];
    }
  }
  return out;
}

// Size, turn about the vertical, and place.
function placed(x, y, z, width, height, depth = 1, turn = 0) {
  const c = Math.cos(turn), s = Math.sin(turn);
  return new Float32Array([width * c, 0, -width * s, 0, 0, height, 0, 0, depth * s, 0, depth * c, 0, x, y, z, 1]);
}

function canvasOf([width, height]) {
  const canvas = document.createElement('canvas');
  Object.assign(canvas, {width, height});
  return {canvas, context: canvas.getContext('2d'), text: null};
}

export class Scene {
  constructor(gl, seeThrough) {
    Object.assign(this, {gl, seeThrough});
    this.board = canvasOf(BOARD);
    this.chip = canvasOf(CHIP);
    this.textures = new Map();
    this.tags = new Map();
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.at = Object.fromEntries(['matrix', 'colour', 'textured'].map(name => [name, gl.getUniformLocation(program, name)]));
    this.places = [gl.getAttribLocation(program, 'place'), gl.getAttribLocation(program, 'spot')];
    this.square = this.shape([-.5, -.5, 0, 0, 1, .5, -.5, 0, 1, 1, -.5, .5, 0, 0, 0, .5, .5, 0, 1, 0], gl.TRIANGLE_STRIP);
    this.grid = this.shape(gridLines(), gl.LINES);
    this.box = this.shape(boxFaces(), gl.TRIANGLES);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  shape(numbers, mode) {
    const {gl} = this, array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(numbers), gl.STATIC_DRAW);
    this.places.forEach((place, i) => {
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, i ? 2 : 3, gl.FLOAT, false, 20, i ? 12 : 0);
    });
    return {array, mode, count: numbers.length / 5};
  }

  // Returns the texture of a canvas, sent to the graphics card only when it changed.
  texture(key, canvas, dirty) {
    const {gl} = this, known = this.textures.has(key);
    if (!known) this.textures.set(key, gl.createTexture());
    const texture = this.textures.get(key);
    if (!known || dirty) {
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, canvas);
      for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.LINEAR);
      for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
    }
    return texture;
  }

  // Draws one frame. `shown` = {state, lines: [..], cameras, hands: [{pose, colour}]}.
  draw(layer, viewer, shown) {
    const {gl} = this, base = this.seeThrough ? 1.85 : 1.3;  // see-through: above the robot
    const board = this.texture('board', this.board.canvas, this.writeBoard(shown));
    const chip = this.texture('chip', this.chip.canvas, this.writeChip(shown.state));
    const pictures = this.pictures(shown.cameras, base);
    const tint = rgba(colourOf(shown.state));
    gl.bindFramebuffer(gl.FRAMEBUFFER, layer.framebuffer);
    gl.clearColor(...(this.seeThrough ? [0, 0, 0, 0] : [.045, .06, .08, 1]));
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    for (const view of viewer.views) {
      const port = layer.getViewport(view);
      if (!port?.width) continue;
      gl.viewport(port.x, port.y, port.width, port.height);
      this.view = product(view.projectionMatrix, view.transform.inverse.matrix);
      this.paint(this.grid, placed(0, 0, 0, 1, 1), rgba('#5b7086', this.seeThrough ? .35 : .7));
      this.paint(this.square, placed(0, base + .56, -AWAY_M, 1.44, .45), [1, 1, 1, 1], board);
      for (const one of pictures) {
        this.paint(this.square, one.border, tint);
        this.paint(this.square, one.place, [1, 1, 1, 1], one.texture);
        this.paint(this.square, one.tagPlace, [1, 1, 1, 1], one.tag);
      }
      for (const hand of shown.hands) this.paint(this.box, hand.matrix, rgba(hand.colour));
      this.frame(viewer, tint, chip);
    }
  }

  paint(shape, model, colour, texture = null) {
    const {gl} = this;
    gl.bindVertexArray(shape.array);
    gl.uniformMatrix4fv(this.at.matrix, false, product(this.view, model));
    gl.uniform4fv(this.at.colour, colour);
    gl.uniform1f(this.at.textured, texture ? 1 : 0);
    if (texture) gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.drawArrays(shape.mode, 0, shape.count);
  }

  // A frame that goes with the head: who looks at the robot sees the state as well.
  frame(viewer, tint, chip) {
    const {gl} = this, head = viewer.transform.matrix, wide = 1.75, high = 1.4, thick = .014;
    gl.disable(gl.DEPTH_TEST);
    for (const [x, y, w, h] of [
      [0, high / 2, wide, thick], [0, -high / 2, wide, thick], [-wide / 2, 0, thick, high + thick], [wide / 2, 0, thick, high + thick],
    ]) this.paint(this.square, product(head, placed(x, y, -1, w, h)), tint);
    this.paint(this.square, product(head, placed(0, .06 - high / 2, -1, .4, .075)), [1, 1, 1, 1], chip);
    gl.enable(gl.DEPTH_TEST);
  }

  // The cameras side by side on an arc around the operator.
  pictures(cameras, base) {
    const wide = cameras.length > 2 ? .8 : cameras.length > 1 ? .95 : 1.15, step = (wide + .08) / AWAY_M;
    return cameras.map((camera, i) => {
      const angle = (i - (cameras.length - 1) / 2) * step, high = wide * camera.canvas.height / camera.canvas.width;
      const x = AWAY_M * Math.sin(angle), z = -AWAY_M * Math.cos(angle), y = base + .28 - high / 2;
      const texture = this.texture(camera.name, camera.canvas, camera.dirty);
      camera.dirty = false;
      const tag = this.tag(camera);
      const behind = 1 + .01 / AWAY_M;
      return {
        texture, tag, place: placed(x, y, z, wide, high, 1, -angle),
        border: placed(x * behind, y, z * behind, wide + .03, high + .03, 1, -angle),
        tagPlace: placed(x, y - high / 2 - .06, z, .55, .55 * TAG[1] / TAG[0], 1, -angle),
      };
    });
  }

  tag(camera) {
    if (!this.tags.has(camera.name)) this.tags.set(camera.name, canvasOf(TAG));
    const tag = this.tags.get(camera.name), text = camera.caption.textContent, changed = tag.text !== text;
    if (changed) {
      tag.text = text;
      const {context} = tag;
      context.clearRect(0, 0, ...TAG);
      write(context, text, TAG[0] / 2, 46, '36px system-ui, sans-serif', camera.old ? '#ff6b5e' : '#c8d2dc', TAG[0]);
    }
    return this.texture(`tag ${camera.name}`, tag.canvas, changed);
  }

  writeBoard({state, lines}) {
    const {context} = this.board, [width, height] = BOARD, text = [state, ...lines].join('\n');
    if (this.board.text === text) return false;
    this.board.text = text;
    context.fillStyle = '#131a23';
    context.fillRect(0, 0, width, height);
    context.lineWidth = 22;
    context.strokeStyle = colourOf(state);
    context.strokeRect(11, 11, width - 22, height - 22);
    write(context, wordOf(state), width / 2, 126, '800 104px system-ui, sans-serif', colourOf(state), width - 80);
    lines.slice(0, 3).forEach((line, i) => write(
      context, line, width / 2, 188 + 48 * i, `${i ? 34 : 38}px system-ui, sans-serif`, i ? '#93a1b0' : '#e8edf2', width - 80));
    return true;
  }

  writeChip(state) {
    if (this.chip.text === state) return false;
    this.chip.text = state;
    const {context} = this.chip;
    context.clearRect(0, 0, ...CHIP);
    write(context, wordOf(state), CHIP[0] / 2, 74, '800 76px system-ui, sans-serif', colourOf(state), CHIP[0] - 20);
    return true;
  }
}

function write(context, text, x, y, font, colour, width) {
  Object.assign(context, {font, fillStyle: colour, textAlign: 'center'});
  context.fillText(text, x, y, width);
}

function gridLines() {
  const lines = [], far = 2;
  for (let i = -far; i <= far + 1e-6; i += .25) lines.push(i, 0, -far, 0, 0, i, 0, far, 0, 0, -far, 0, i, 0, 0, far, 0, i, 0, 0);
  return lines;
}

function boxFaces() {  // 3 x 3 x 12 cm, the long side pointing forward
  const [a, b, c] = [.015, .015, .06], corner = i => [i & 1 ? a : -a, i & 2 ? b : -b, i & 4 ? c : -c, 0, 0];
  const faces = [0, 1, 3, 0, 3, 2, 4, 7, 5, 4, 6, 7, 0, 5, 1, 0, 4, 5, 2, 3, 7, 2, 7, 6, 0, 2, 6, 0, 6, 4, 1, 5, 7, 1, 7, 3];
  return faces.flatMap(corner);
}

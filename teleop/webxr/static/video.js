// Camera images over a connection of their own, drawn into one canvas per camera; the newest wins.
import {socketUrl} from './link.js';

const RETRY_MS = 1000, OLD_MS = 300, VERSION = 1;

export class Video {
  constructor(token, link, list) {
    Object.assign(this, {token, link, list});
    this.cameras = new Map();  // name -> {canvas, caption, seq, t, dirty}
    this.socket = null;
    setInterval(() => this.showAges(), 250);
  }

  // Watch these cameras; called with every welcome.
  watch(names) {
    if (names.join('\n') !== [...this.cameras.keys()].join('\n')) {
      this.cameras = new Map(names.map(name => [name, this.figure(name)]));
      const none = document.createElement('p');
      none.className = 'quiet';
      none.textContent = 'This robot shows none.';
      this.list.replaceChildren(...(names.length ? [...this.cameras.values()].map(c => c.figure) : [none]));
    }
    if (names.length && !this.socket) this.connect();
    else this.ask();
  }

  figure(name) {
    const figure = document.createElement('figure'), canvas = document.createElement('canvas');
    const caption = document.createElement('figcaption');
    canvas.width = 320;
    canvas.height = 240;
    caption.textContent = name;
    figure.append(canvas, caption);
    return {name, figure, canvas, caption, context: canvas.getContext('2d', {alpha: false}), t: null, seq: -1, dirty: true, old: false};
  }

  connect() {
    const socket = new WebSocket(socketUrl('/video'));
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    socket.onopen = () => {
      socket.send(JSON.stringify({type: 'hello', v: VERSION, token: this.token, client: 'xr', role: 'observer', name: ''}));
      this.ask();
    };
    socket.onmessage = event => event.data instanceof ArrayBuffer && this.draw(socket, event.data);
    socket.onclose = () => {
      this.socket = null;
      setTimeout(() => this.socket || !this.link.ready || this.connect(), RETRY_MS);
    };
  }

  ask() {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({type: 'watch', cameras: [...this.cameras.keys()].slice(0, 8)}));
    }
  }

  async draw(socket, data) {
    const length = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const camera = this.cameras.get(head.camera);
    try {
      const image = await createImageBitmap(new Blob([new Uint8Array(data, 4 + length)], {type: 'image/jpeg'}));
      if (camera && head.seq > camera.seq) {
        const {canvas, context} = camera;
        if (canvas.width !== image.width || canvas.height !== image.height) {
          canvas.width = image.width;
          canvas.height = image.height;
        }
        context.drawImage(image, 0, 0);
        Object.assign(camera, {seq: head.seq, t: head.t, dirty: true});
      }
      image.close();
    } finally {  // also for an image that cannot be decoded, else the console waits for ever
      if (socket.readyState === WebSocket.OPEN) {
        socket.send(JSON.stringify({type: 'got', camera: head.camera, seq: head.seq}));
      }
    }
  }

  showAges() {
    for (const camera of this.cameras.values()) {
      if (camera.t === null || this.link.offset === null) continue;
      const age = performance.now() + this.link.offset - camera.t;
      camera.old = !(this.link.ready && age < OLD_MS);
      camera.caption.textContent = `${camera.name} · ${age < 10000 ? `${Math.max(0, Math.round(age))} ms` : 'old'}`;
      camera.caption.className = camera.old ? 'old' : '';
    }
  }
}

// A page that is opened as a file may start no worker. There the search's script runs in a hidden
// frame, which is handed messages and hands answers back as a worker would.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.answer = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      frame.srcdoc = `<script>
        const answer = frameElement.answer;
        window.postMessage = (data) => answer(data);
        window.importScripts = (...addresses) => Promise.all(addresses.map((src) =>
          new Promise((done, failed) => {
            const script = Object.assign(document.createElement("script"),
              { src, onload: done, onerror: failed });
            document.head.append(script);
          })));
      <\/script><script src="${new URL(address, location)}"><\/script>`;
      this.started = new Promise((done) => (frame.onload = () => done(frame.contentWindow)));
      document.body.append(frame);
    }

    async postMessage(data) {
      const inside = await this.started;
      inside.dispatchEvent(new inside.MessageEvent("message", { data }));
    }

    terminate() {}
  };
}

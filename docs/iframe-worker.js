// Search in a site that is opened from a folder: browsers start no worker from there, so a frame takes its place.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inside = frame.contentWindow
      const load = (source) => new Promise((resolve, reject) => {
        const script = inside.document.createElement("script")
        script.src = source
        script.onload = resolve
        script.onerror = reject
        inside.document.body.append(script)
      })
      const listeners = []
      const add = inside.addEventListener.bind(inside)
      inside.addEventListener = (name, listener) => (name === "message" ? listeners.push(listener) : add(name, listener))
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      inside.importScripts = (...sources) => sources.reduce((done, source) => done.then(() => load(source)), Promise.resolve())
      const ready = load(String(url))
      this.postMessage = (data) => ready.then(() => listeners.forEach((listener) => listener(new MessageEvent("message", { data }))))
    }

    terminate() {}
  }
}

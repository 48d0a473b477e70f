// Browsers refuse workers to pages that are opened from a folder (file:). The search then runs in a hidden frame instead.
// (MkDocs' plugin "offline" would fetch a script of this name from elsewhere; it takes this one, because it is named.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.documentElement.append(this.frame)
      const inside = this.frame.contentWindow
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.ready = new Promise(done => {
        const script = inside.document.createElement("script")
        script.src = new URL(url, location.href)
        script.onload = done
        inside.document.documentElement.append(script)
      })
    }

    postMessage(data) {
      const inside = this.frame.contentWindow
      this.ready.then(() => inside.dispatchEvent(new inside.MessageEvent("message", { data })))
    }

    terminate() {
      this.frame.remove()
    }
  }
}

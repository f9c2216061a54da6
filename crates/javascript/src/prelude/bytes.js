// Bytes: as texts, and at random.
(host) => {
  "use strict";
  const { apply } = Reflect;
  const { toBase64 } = Uint8Array.prototype;
  const { toWellFormed } = String.prototype;
  const view = (source) => {
    if (source instanceof ArrayBuffer) return new Uint8Array(source);
    if (!ArrayBuffer.isView(source)) throw new TypeError("an ArrayBuffer or a view of one was expected");
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  };

  class TextEncoder {
    get encoding() {
      return "utf-8";
    }

    encode(text = "") {
      return new Uint8Array(host.encode(apply(toWellFormed, `${text}`, [])));
    }
  }

  class TextDecoder {
    #fatal;
    #ignoreBOM;

    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
      if (!/^\s*(utf-?8|unicode-1-1-utf-8)\s*$/i.test(label)) {
        throw new RangeError(`the encoding \`${label}\` is not known: there is utf-8 alone`);
      }
      this.#fatal = Boolean(fatal);
      this.#ignoreBOM = Boolean(ignoreBOM);
    }

    get encoding() {
      return "utf-8";
    }

    get fatal() {
      return this.#fatal;
    }

    get ignoreBOM() {
      return this.#ignoreBOM;
    }

    decode(source = new ArrayBuffer(0), { stream = false } = {}) {
      if (stream) throw new TypeError("bytes cannot be decoded piece by piece: put them together first");
      return host.decode(apply(toBase64, view(source), []), this.#fatal, this.#ignoreBOM);
    }
  }

  const crypto = {
    getRandomValues(array) {
      if (!ArrayBuffer.isView(array) || /^Float|^DataView/.test(array[Symbol.toStringTag])) {
        throw new TypeError("an array of whole numbers was expected");
      }
      view(array).set(new Uint8Array(host.random(array.byteLength)));
      return array;
    },
    randomUUID: () => host.uuid(),
  };

  return { TextDecoder, TextEncoder, crypto, shown: [] };
}

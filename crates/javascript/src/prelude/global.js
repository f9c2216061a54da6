// The other globals that are easier said in JavaScript than in Rust.
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

  const sleep = (time) => new Promise((resolve) => host.setTimeout(resolve, time));

  function structuredClone(value) {
    const done = new Map();
    const bytes = (buffer) => copy(buffer, () => buffer.slice(0));
    const copy = (object, make, fill) => {
      if (!done.has(object)) {
        done.set(object, make());
        fill?.(done.get(object));
      }
      return done.get(object);
    };
    const clone = (value) => {
      if (typeof value === "symbol" || typeof value === "function") {
        throw new TypeError(`a ${typeof value} cannot be cloned`);
      }
      if (typeof value !== "object" || value === null) return value;
      if (value instanceof Date) return copy(value, () => new Date(value));
      if (value instanceof RegExp) return copy(value, () => new RegExp(value.source, value.flags));
      if (value instanceof ArrayBuffer) return bytes(value);
      if (ArrayBuffer.isView(value)) {
        const length = value instanceof DataView ? value.byteLength : value.length;
        return copy(value, () => new value.constructor(bytes(value.buffer), value.byteOffset, length));
      }
      if (value instanceof Map) {
        return copy(value, () => new Map(), (map) => value.forEach((v, k) => map.set(clone(k), clone(v))));
      }
      if (value instanceof Set) return copy(value, () => new Set(), (set) => value.forEach((v) => set.add(clone(v))));
      if (value instanceof Error) return copy(value, () => new value.constructor(value.message));
      if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) {
        throw new TypeError(`a ${value.constructor.name} cannot be cloned`);
      }
      const fill = (to) => Object.keys(value).forEach((key) => {
        const member = { value: clone(value[key]), writable: true, enumerable: true, configurable: true };
        Object.defineProperty(to, key, member);
      });
      return copy(value, () => (Array.isArray(value) ? new Array(value.length) : {}), fill);
    };
    return clone(value);
  }

  host.define({ TextDecoder, TextEncoder, crypto, sleep, structuredClone });
  // They would let a script reach what runs while an error is made, and memory that threads share.
  delete Error.prepareStackTrace;
  delete Error.stackTraceLimit;
  delete globalThis.SharedArrayBuffer;
  // The time zone is read from a file once, while there are files.
  new Date(0).getTimezoneOffset();
  return [];
}

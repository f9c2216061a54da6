// `structuredClone`.
() => {
  "use strict";

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

  return { structuredClone, shown: [] };
}

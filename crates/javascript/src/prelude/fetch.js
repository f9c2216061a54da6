// `fetch`, `Headers` and `Response`. The server performs the request; here are only its two ends.
(host) => {
  "use strict";
  const { apply } = Reflect;
  const { defineProperties } = Object;
  const species = { __proto__: null, [Symbol.species]: Promise };
  const { then } = Promise.prototype;
  const { fromBase64 } = Uint8Array;
  const { toBase64 } = Uint8Array.prototype;
  const { parse } = JSON;
  const { decode } = host;
  const { URL, URLSearchParams } = host.load("url.js");

  class Headers {
    #lists = new Map();

    constructor(init) {
      if (init === undefined || init === null) return;
      const pairs = Symbol.iterator in init ? init : Object.entries(init);
      for (const [name, value] of pairs) this.append(name, value);
    }

    append(name, value) {
      const key = host.headerName(`${name}`);
      const text = host.headerValue(`${value}`);
      if (this.#lists.has(key)) this.#lists.get(key).push(text);
      else this.#lists.set(key, [text]);
    }

    set(name, value) {
      this.delete(name);
      this.append(name, value);
    }

    delete(name) {
      this.#lists.delete(`${name}`.toLowerCase());
    }

    get(name) {
      return this.#lists.get(`${name}`.toLowerCase())?.join(", ") ?? null;
    }

    getSetCookie() {
      return [...(this.#lists.get("set-cookie") ?? [])];
    }

    has(name) {
      return this.#lists.has(`${name}`.toLowerCase());
    }

    forEach(call, self) {
      for (const [name, value] of this) call.call(self, value, name, this);
    }

    *entries() {
      for (const name of [...this.#lists.keys()].sort()) {
        if (name === "set-cookie") for (const value of this.getSetCookie()) yield [name, value];
        else yield [name, this.get(name)];
      }
    }

    *keys() {
      for (const [name] of this) yield name;
    }

    *values() {
      for (const [, value] of this) yield value;
    }

    [Symbol.iterator]() {
      return this.entries();
    }

    static shown(object) {
      return #lists in object ? Object.fromEntries(object) : undefined;
    }
  }
  const { shown: headers } = Headers;
  delete Headers.shown;

  class Response {
    #parts;
    #headers;

    constructor(key, parts) {
      if (key !== ours) throw new TypeError("a Response comes from `fetch` alone");
      this.#parts = parts;
      this.#headers = new Headers(parts.headers);
    }

    get status() {
      return this.#parts.status;
    }

    get ok() {
      return this.status >= 200 && this.status < 300;
    }

    get url() {
      return this.#parts.url;
    }

    get redirected() {
      return this.#parts.redirected;
    }

    get headers() {
      return this.#headers;
    }

    async bytes() {
      return apply(fromBase64, Uint8Array, [this.#parts.body]);
    }

    async arrayBuffer() {
      return (await this.bytes()).buffer;
    }

    async text() {
      return decode(this.#parts.body, false, false);
    }

    async json() {
      return parse(await this.text());
    }

    static shown(object) {
      if (!(#parts in object)) return undefined;
      const { ok, status, url, redirected } = object;
      return { ok, status, url, redirected, headers: object.headers };
    }
  }
  const { shown: response } = Response;
  delete Response.shown;
  const ours = Symbol("ours");

  /** The body of a request in base64, and the type it has where no header says another. */
  function body(value) {
    if (value === undefined || value === null) return [null, undefined];
    if (value instanceof URLSearchParams) {
      return [host.encode64(`${value}`), "application/x-www-form-urlencoded;charset=UTF-8"];
    }
    if (value instanceof ArrayBuffer) return [apply(toBase64, new Uint8Array(value), []), undefined];
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      return [apply(toBase64, bytes, []), undefined];
    }
    if (typeof value === "object") throw new TypeError("a body is a text, bytes or URLSearchParams; make a text of an object with JSON.stringify");
    return [host.encode64(`${value}`), "text/plain;charset=UTF-8"];
  }

  function request(input, { method = "GET", headers, body: given, redirect = "follow" }) {
    const known = /^(get|head|post|put|delete|options|patch)$/i.test(method);
    method = known ? `${method}`.toUpperCase() : `${method}`;
    const list = new Headers(headers);
    const [bytes, type] = body(given);
    if (bytes !== null && (method === "GET" || method === "HEAD")) {
      throw new TypeError(`a ${method} request has no body`);
    }
    if (!["follow", "error", "manual"].includes(redirect)) {
      throw new TypeError("`redirect` is one of `follow`, `error` and `manual`");
    }
    if (type !== undefined && !list.has("content-type")) list.set("content-type", type);
    return { url: new URL(input).href, method, headers: [...list], body: bytes, redirect };
  }

  function fetch(input, init) {
    // Made here, so that it tells which line called.
    const failure = new TypeError("");
    let id;
    const promise = new Promise((resolve, reject) => {
      const fail = (sentence) => {
        failure.message = sentence;
        reject(failure);
      };
      const succeed = (parts) => resolve(new Response(ours, parts));
      id = host.fetch(request(input, init ?? {}), succeed, fail);
    });
    // With a constructor of its own, `await` too goes through this `then`: so it is known whether anybody
    // waits for the answer.
    return defineProperties(promise, {
      constructor: { value: species },
      then: {
        value(...calls) {
          if (id !== undefined) host.awaited(id);
          return apply(then, this, calls);
        },
      },
    });
  }

  return { Headers, Response, fetch, shown: [headers, response] };
}

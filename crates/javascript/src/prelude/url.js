// `URL` and `URLSearchParams`. The addresses themselves are taken apart by Rust, part by part.
(host) => {
  "use strict";
  const PARTS = ["protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];

  class URLSearchParams {
    #pairs = [];
    #url;

    constructor(init = "", url) {
      if (url !== undefined && url === bound) {
        this.#url = init;
      } else if (init === null || typeof init !== "object") {
        this.#pairs = host.pairs(`${init}`);
      } else if (Symbol.iterator in init) {
        for (const [name, value] of init) this.#pairs.push([`${name}`, `${value}`]);
      } else {
        for (const name of Object.keys(init)) this.#pairs.push([name, `${init[name]}`]);
      }
    }

    #read() {
      return this.#url ? host.pairs(this.#url.search) : this.#pairs;
    }

    #write(pairs) {
      if (this.#url) this.#url.search = host.query(pairs);
      else this.#pairs = pairs;
    }

    get size() {
      return this.#read().length;
    }

    append(name, value) {
      this.#write([...this.#read(), [`${name}`, `${value}`]]);
    }

    delete(name, value) {
      const other = ([key, text]) => key !== `${name}` || (value !== undefined && text !== `${value}`);
      this.#write(this.#read().filter(other));
    }

    get(name) {
      return this.#read().find(([key]) => key === `${name}`)?.[1] ?? null;
    }

    getAll(name) {
      return this.#read().filter(([key]) => key === `${name}`).map(([, text]) => text);
    }

    has(name, value) {
      return this.#read().some(([key, text]) => key === `${name}` && (value === undefined || text === `${value}`));
    }

    set(name, value) {
      const pairs = this.#read();
      const first = pairs.findIndex(([key]) => key === `${name}`);
      const others = pairs.filter(([key], index) => key !== `${name}` || index === first);
      if (first < 0) others.push([`${name}`, `${value}`]);
      else others[first] = [`${name}`, `${value}`];
      this.#write(others);
    }

    sort() {
      this.#write([...this.#read()].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
    }

    forEach(call, self) {
      for (const [name, value] of this.#read()) call.call(self, value, name, this);
    }

    *entries() {
      yield* this.#read();
    }

    *keys() {
      for (const [name] of this.#read()) yield name;
    }

    *values() {
      for (const [, value] of this.#read()) yield value;
    }

    [Symbol.iterator]() {
      return this.entries();
    }

    toString() {
      return host.query(this.#read());
    }

    static shown(object) {
      return #pairs in object ? Object.fromEntries(object.#read()) : undefined;
    }
  }
  const { shown: parameters } = URLSearchParams;
  delete URLSearchParams.shown;
  const bound = Symbol("bound");

  class URL {
    #href;
    #parameters;

    constructor(url, base) {
      this.#href = host.address(`${url}`, base === undefined ? undefined : `${base}`);
    }

    static canParse(url, base) {
      return URL.parse(url, base) !== null;
    }

    static parse(url, base) {
      try {
        return new URL(url, base);
      } catch {
        return null;
      }
    }

    get href() {
      return this.#href;
    }

    set href(text) {
      this.#href = host.address(`${text}`);
    }

    get origin() {
      return host.part(this.#href, "origin");
    }

    get searchParams() {
      return (this.#parameters ??= new URLSearchParams(this, bound));
    }

    toString() {
      return this.#href;
    }

    toJSON() {
      return this.#href;
    }

    static {
      for (const part of PARTS) {
        Object.defineProperty(URL.prototype, part, {
          get() {
            return host.part(this.#href, part);
          },
          set(text) {
            this.#href = host.replaced(this.#href, part, `${text}`);
          },
          enumerable: true,
          configurable: true,
        });
      }
    }

    static shown(object) {
      return #href in object ? { href: object.#href } : undefined;
    }
  }
  const { shown: address } = URL;
  delete URL.shown;

  return { URL, URLSearchParams, shown: [address, parameters] };
}

let inputs, outputs;

// What Rust keeps of the language before anybody can change it: functions of the engine itself, which run no
// code of a user's when they are called on anything but a proxy, and prototypes to compare with.
() => {
  "use strict";
  const getter = (object, name) => Object.getOwnPropertyDescriptor(object, name).get;
  const typed = Object.getPrototypeOf(Uint8Array.prototype);
  const least = -(2n ** 127n);
  // They would let a script reach what runs while an error is made, and memory that threads share.
  delete Error.prepareStackTrace;
  delete Error.stackTraceLimit;
  delete globalThis.SharedArrayBuffer;
  // The time zone is read from a file once, while there are files.
  new Date(0).getTimezoneOffset();
  return {
    __proto__: null,
    shown: [],
    begin(given, empty) {
      inputs = given;
      outputs = empty;
    },
    ended: () => outputs,
    descriptor: Object.getOwnPropertyDescriptor,
    object: Object.prototype,
    array: Array.prototype,
    date: Date.prototype,
    time: Date.prototype.getTime,
    iso: Date.prototype.toISOString,
    wellFormed: String.prototype.toWellFormed,
    symbolText: String,
    big: BigInt,
    fits: (number) => least <= number && number < -least,
    stack: getter(Error.prototype, "stack"),
    domName: getter(DOMException.prototype, "name"),
    domMessage: getter(DOMException.prototype, "message"),
    pattern: getter(RegExp.prototype, "source"),
    flags: getter(RegExp.prototype, "flags"),
    mapSize: getter(Map.prototype, "size"),
    mapEach: Map.prototype.forEach,
    setSize: getter(Set.prototype, "size"),
    setEach: Set.prototype.forEach,
    typedName: getter(typed, Symbol.toStringTag),
    typedLength: getter(typed, "length"),
  };
}

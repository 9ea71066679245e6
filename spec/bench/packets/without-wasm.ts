// Loaded before a server (`node --import`): its cipher in WebAssembly cannot be had, as in a runtime without SIMD, and node:crypto seals
// all packets. Every other module can.
interface Engine {
  Module: (new (bytes: Uint8Array) => object) & { exports(module: object): readonly { readonly name: string }[] };
}

const engine = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;
const { Module } = engine;

engine.Module = class extends Module {
  constructor(bytes: Uint8Array) {
    super(bytes);
    if (Module.exports(this).some(({ name }) => name === 'seal')) throw new TypeError('not here');
  }
};

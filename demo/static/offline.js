/** The page in one file: its modules and data stand in the element `files`, gzipped, by their paths. */

(async () => {
  const files = JSON.parse(document.querySelector("#files").textContent);
  const read = async (path) => {
    const packed = Uint8Array.from(atob(files[path]), (character) => character.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  };
  const imports = {};
  for (const path of Object.keys(files).filter((name) => /\.m?js$/.test(name) && name !== "page.js")) {
    imports[path] = URL.createObjectURL(new Blob([await read(path)], { type: "text/javascript" }));
  }
  globalThis.wasmBinary = await read("onnxruntime-web/ort-wasm-simd-threaded.wasm");
  const folder = new URL(".", location.href).href;
  globalThis.fetch = async (address) => new Response(await read(new URL(address, folder).href.slice(folder.length)));
  const add = (type, text) => document.head.append(Object.assign(document.createElement("script"), { type, text }));
  add("importmap", JSON.stringify({ imports }));
  add("module", new TextDecoder().decode(await read("page.js")));
})();

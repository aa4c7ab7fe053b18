// Rules for the JavaScript of this repository. Scripts of demo/assets are bodies of functions: gradio gives their
// arguments, dom.js stands before each.
const js = require("@eslint/js");
const globals = require("globals");

const given = ["element", "trigger", "props", "upload", "watch", "texts"];
const helpers = ["make", "makeFrame", "percent"];
const readonly = (names) => Object.fromEntries(names.map((name) => [name, "readonly"]));

module.exports = [
  js.configs.recommended,
  { languageOptions: { globals: globals.browser } },
  { files: ["packages/web/test/**"], languageOptions: { globals: globals.node } },
  { files: [".ci/*.js"], languageOptions: { sourceType: "commonjs" } },
  { files: ["modeling_mlnet/**/*.js"], languageOptions: { sourceType: "script" } },
  {
    files: ["modeling_mlnet/demo/assets/*.js"],
    ignores: ["**/dom.js"],
    languageOptions: { globals: readonly([...given, ...helpers]) },
  },
  { files: ["**/dom.js"], rules: { "no-unused-vars": "off" } },
];

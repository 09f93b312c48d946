import { defineConfig } from "vite";

// Everything is a file of its own: the page's policy allows nothing inline and nothing from elsewhere.
export default defineConfig({
  base: "./",
  build: { assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
});

export default {
  esbuild: { jsx: "automatic" },
  // The client is a link to a folder of this repository, where there is no React: both take the one here.
  resolve: { dedupe: ["react"] },
};

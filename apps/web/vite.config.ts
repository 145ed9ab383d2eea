import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// In development the page is served by Vite, and the API by a gateway that runs elsewhere.
const gateway = process.env.GANTRY_WEB_GATEWAY ?? 'http://127.0.0.1:4480';

export default defineConfig({
  plugins: [react()],
  server: { host: '127.0.0.1', proxy: { '/graphql': { target: gateway, ws: true } } },
  build: {
    outDir: 'dist',
    // The page's Content-Security-Policy has no data: for scripts and fonts; small files stay files.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 800,
  },
});

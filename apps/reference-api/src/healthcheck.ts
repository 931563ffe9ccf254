import process from 'node:process';

// For the image's health check: healthy when everything that the service uses is, so that the stack's status tells.
const port = process.env['LISTEN_PORT'] ?? '8080';
try {
  const { status } = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(4000) });
  process.exitCode = status === 200 ? 0 : 1;
} catch {
  process.exitCode = 1;
}

import { afterEach, describe, expect, it, vi } from 'vitest';
import { patiently } from './redis-cluster-client.ts';

const redirected = new Error('Too many Cluster redirections. Last error: ReplyError: MOVED 1 172.20.2.21:6379');

afterEach(() => {
  vi.useRealTimers();
});

describe('patience with a cluster', () => {
  it('tries a command again that was redirected too often', async () => {
    const attempt = vi.fn<() => Promise<string>>().mockRejectedValueOnce(redirected).mockResolvedValue('OK');
    expect(await patiently(attempt)).toBe('OK');
    expect(attempt).toHaveBeenCalledTimes(2);
  });

  it('ends after three seconds', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const attempt = vi.fn(async () => {
      vi.advanceTimersByTime(1400);
      return Promise.reject(redirected);
    });
    await expect(patiently(attempt)).rejects.toBe(redirected);
    expect(attempt).toHaveBeenCalledTimes(3);
  });

  it('takes every other failure as it is', async () => {
    const attempt = vi.fn(async () => Promise.reject(new Error('Connection is closed.')));
    await expect(patiently(attempt)).rejects.toThrow('Connection is closed.');
    expect(attempt).toHaveBeenCalledTimes(1);
  });
});

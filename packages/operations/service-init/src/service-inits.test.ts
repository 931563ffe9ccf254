import { describe, expect, test } from 'vitest';
import { fakeContainer } from '../test/fake-container.ts';
import { serviceInitFor, serviceInits } from './service-inits.ts';

describe('engines', () => {
  test.each(Object.keys(serviceInits))(
    '%s is loaded when it is used, and fails clearly in an image without its server',
    async (engine) => {
      await using container = await fakeContainer(engine);
      expect(serviceInitFor(engine).engine).toBe(engine);
      await expect(serviceInitFor(engine).prepare(container.context({ secrets: {} }))).rejects.toMatchObject({
        code: expect.any(String) as string,
      });
    },
  );

  test.each(['oracle', 'toString', ''])('%j is no engine', (name) => {
    expect(() => serviceInitFor(name)).toThrow(expect.objectContaining({ code: 'ENGINE_UNKNOWN' }));
  });
});

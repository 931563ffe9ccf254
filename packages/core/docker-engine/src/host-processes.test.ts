import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isProcessOf, processesOnHost } from './index.ts';

const [web, db, other] = ['a', 'b', 'c'].map((letter) => letter.repeat(64)) as [string, string, string];
let procRoot: string;

beforeEach(async () => {
  procRoot = await mkdtemp(join(tmpdir(), 'proc-'));
});
afterEach(() => rm(procRoot, { recursive: true }));

async function process(pid: number | string, cgroup: string): Promise<void> {
  await mkdir(join(procRoot, String(pid)));
  await writeFile(join(procRoot, String(pid), 'cgroup'), cgroup);
}

describe('processesOnHost', () => {
  it('finds the processes of the wanted containers by their control groups, whatever stands around the id', async () => {
    await process(30, `0::/system.slice/docker-${web}.scope\n`);
    await process(4, `12:pids:/docker/${web}\n11:memory:/docker/${web}\n`);
    await process(200, `0::/docker/${web}/own/group\n`);
    await process(7, `0::/kubepods/pod1/${db}\n`);
    await process(8, `0::/docker/${other}\n`);
    await process(1, '0::/init.scope\n');
    await process('self', `0::/docker/${web}\n`);
    const found = await processesOnHost([web, db], { procRoot });
    expect([...found].toSorted()).toEqual([
      [web, [4, 30, 200]],
      [db, [7]],
    ]);
  });

  it('counts a process in a nested container to the one that is wanted, once', async () => {
    await process(5, `0::/docker/${other}/docker/${web}\n1:name=systemd:/docker/${web}\n`);
    expect(await processesOnHost([web], { procRoot })).toEqual(new Map([[web, [5]]]));
  });

  it('passes by what has gone, and gives nothing where there is no /proc or nothing is asked for', async () => {
    await mkdir(join(procRoot, '9'));
    await process(10, '');
    expect(await processesOnHost([web], { procRoot })).toEqual(new Map());
    expect(await processesOnHost([web], { procRoot: join(procRoot, 'nowhere') })).toEqual(new Map());
    expect(await processesOnHost([])).toEqual(new Map());
  });

  it('does not take a process that cannot be looked at for one that is none', async () => {
    await mkdir(join(procRoot, '11'));
    await symlink('cgroup', join(procRoot, '11/cgroup'));
    await expect(processesOnHost([web], { procRoot })).rejects.toMatchObject({ code: 'ELOOP' });
  });

  it('reads thousands of processes', async () => {
    for (let pid = 1; pid <= 3000; pid += 1) await process(pid, `0::/docker/${pid % 2 === 0 ? web : other}\n`);
    expect((await processesOnHost([web], { procRoot })).get(web)).toHaveLength(1500);
  });
});

describe('isProcessOf', () => {
  it('knows a process by its control group, and by its mounts where a namespace hides that', async () => {
    await process(4, `0::/docker/${web}\n`);
    await process(5, '0::/\n');
    await writeFile(
      join(procRoot, '5/mountinfo'),
      `1 2 8:1 /var/lib/docker/containers/${web}/hostname /etc/hostname rw\n`,
    );
    await process(6, `0::/docker/${db}\n`);
    const answers = await Promise.all([4, 5, 6, 7, 0, -1].map((pid) => isProcessOf(web, pid, { procRoot })));
    expect(answers).toEqual([true, true, false, false, false, false]);
  });

  it('does not take a process that cannot be looked at for one of another', async () => {
    await mkdir(join(procRoot, '11'));
    await symlink('cgroup', join(procRoot, '11/cgroup'));
    await expect(isProcessOf(web, 11, { procRoot })).rejects.toMatchObject({ code: 'ELOOP' });
  });
});

import type { ContainerDetails } from '@devstack-core/docker-engine';
import type { Place } from '../ledger.ts';
import type { Surface } from '../surfaces.ts';
import { cannotCheck, type CollectContext } from './context.ts';
import { strings } from './strings.ts';

/** The configuration of an image and the history of its layers. */
export async function collectImage(context: CollectContext, container: ContainerDetails): Promise<void> {
  const { engine, ledger, wants } = context;
  const surfaces = (['image-config', 'image-history'] as const).filter(wants);
  const subject = `image ${container.image}`;
  const image = await engine.inspectImage(container.imageId);
  const place = (surface: Surface, at: string): Place => ({
    ...{ surface, subject, at },
    location: context.locate(container, surface),
  });
  for (const surface of surfaces) {
    if (image === undefined) {
      cannotCheck(context, surface, subject, 'the image is gone, though a container of it is there');
      continue;
    }
    if (surface === 'image-config') {
      for (const { path, text } of strings(image.raw)) ledger.text(place(surface, path), text);
    } else {
      for (const [index, entry] of image.history.entries()) {
        const layer = `layer ${String(image.history.length - index)} of ${String(image.history.length)}`;
        ledger.text(place(surface, `${layer}, created by`), entry.createdBy);
        ledger.text(place(surface, `${layer}, comment`), entry.comment);
      }
    }
    ledger.checked(surface, subject);
  }
}

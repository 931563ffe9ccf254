import type { Cursor } from './cursor.ts';
import type { PortModel } from './model.ts';
import { firstVariable } from './read-service.ts';

/** Reads a service's published ports, short and long form, ranges unrolled; `names` are those of `x-devstack.ports`. */
export function readPorts(service: Cursor, names: Readonly<Record<string, number>>): readonly PortModel[] {
  return (service.get('ports')?.items() ?? []).flatMap((place) =>
    place.isMap() ? longPort(place, names) : shortPort(place, names),
  );
}

function longPort(place: Cursor, names: Readonly<Record<string, number>>): PortModel[] {
  const target = place.get('target') ?? place.fail('needs a target');
  const containerPort = target.integer(1, 65_535);
  const published = place.get('published');
  if (published === undefined) return [];
  const hostPort = published.integer(0, 65_535);
  const variable = firstVariable(published.rawText());
  const transport = place.get('protocol')?.text() ?? 'tcp';
  return [
    {
      name: nameOf(containerPort, names) ?? place.get('name')?.text() ?? String(containerPort),
      hostPort,
      containerPort,
      hostAddress: place.get('host_ip')?.text() ?? '0.0.0.0',
      transport: asTransport(transport, place),
      ...(variable === undefined ? {} : { variable }),
    },
  ];
}

// [ADDRESS:]HOST[-HOST]:CONTAINER[-CONTAINER][/PROTOCOL]; a container port alone is published on a random port, so it has no fixed one to tell.
const short = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(?:(\d+)(?:-(\d+))?)?:(\d+)(?:-(\d+))?(?:\/(\w+))?$/;

function shortPort(place: Cursor, names: Readonly<Record<string, number>>): PortModel[] {
  const text = place.text();
  if (/^\d+(?:-\d+)?(?:\/\w+)?$/.test(text)) return [];
  const match = short.exec(text);
  if (match === null)
    return place.fail(`must be [address:]hostPort:containerPort[/protocol], and is ${JSON.stringify(text)}`);
  const [
    ,
    address6,
    address4,
    hostFrom = '0',
    hostTo = hostFrom,
    containerFrom = '0',
    containerTo = containerFrom,
    transport = 'tcp',
  ] = match;
  const length = Number(containerTo) - Number(containerFrom);
  if (length < 0 || Number(hostTo) - Number(hostFrom) !== length)
    return place.fail('has port ranges of different lengths');
  if (Number(hostTo) > 65_535 || Number(containerTo) > 65_535 || Number(containerFrom) < 1)
    return place.fail(`has a port outside 1-65535: ${JSON.stringify(text)}`);
  const variable = hostVariable(place.rawText());
  return Array.from({ length: length + 1 }, (_, index) => ({
    name: nameOf(Number(containerFrom) + index, names) ?? String(Number(containerFrom) + index),
    hostPort: Number(hostFrom) + index,
    containerPort: Number(containerFrom) + index,
    hostAddress: address6 ?? address4 ?? '0.0.0.0',
    transport: asTransport(transport, place),
    ...(variable === undefined ? {} : { variable }),
  }));
}

function nameOf(containerPort: number, names: Readonly<Record<string, number>>): string | undefined {
  return Object.entries(names).find(([, port]) => port === containerPort)?.[0];
}

// The host port is the last but one part; colons inside ${…} do not part.
function hostVariable(rawText: string): string | undefined {
  const parts: string[] = [];
  let depth = 0;
  let part = '';
  for (const character of rawText) {
    if (character === '{') depth += 1;
    if (character === '}') depth -= 1;
    if (character === ':' && depth === 0) {
      parts.push(part);
      part = '';
    } else part += character;
  }
  return firstVariable(parts.at(-1) ?? '');
}

function asTransport(text: string, place: Cursor): PortModel['transport'] {
  if (text === 'tcp' || text === 'udp' || text === 'sctp') return text;
  return place.fail(`has the unknown protocol ${JSON.stringify(text)}`);
}

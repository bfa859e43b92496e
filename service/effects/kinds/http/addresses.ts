import type { LookupAddress, LookupOptions } from "node:dns";
import { lookup } from "node:dns";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { SignalboxError } from "../../../contract/errors.ts";

/** Networks that may be reached although they are not public: addresses, or networks such as `10.1.0.0/16`. */
export type AllowedNetworks = readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];

/** @throws SignalboxError `invalid_config` */
export function parseNetworks(list: readonly string[]): AllowedNetworks {
  return list.map((text) => {
    try {
      if (text.includes("/")) return ipaddr.parseCIDR(text);
      const address = ipaddr.process(text);
      return [address, address.kind() === "ipv4" ? 32 : 128];
    } catch (error) {
      throw new SignalboxError(
        "invalid_config",
        `effects.http.allow_addresses: ${text} is no address or network`,
        {
          cause: error,
        },
      );
    }
  });
}

const words: Readonly<Record<string, string>> = {
  private: "a private address",
  loopback: "this machine itself",
  linkLocal: "a link-local address, where clouds keep their metadata",
  uniqueLocal: "a private address",
  carrierGradeNat: "an address inside a provider's network",
  multicast: "a multicast address",
  unspecified: "no address of anybody",
  broadcast: "a broadcast address",
};

/**
 * Why an address must not be reached, or null when it is public or listed. Addresses that hold an IPv4 address inside
 * (mapped, NAT64) are judged by that one.
 */
export function refusalOf(text: string, allowed: AllowedNetworks): string | null {
  const address = plainAddress(text);
  if (address === null) return "no address";
  const isAllowed = allowed.some(
    ([network, bits]) => network.kind() === address.kind() && address.match(network as never, bits),
  );
  if (isAllowed) return null;
  const range = address.range();
  return range === "unicast" ? null : (words[range] ?? `an address of the range ${range}`);
}

const NAT64 = ipaddr.parseCIDR("64:ff9b::/96");

function plainAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  // A zone names one of our own interfaces, so it is never public; without it the range says so too.
  const bare = text.replace(/^\[|\]$/g, "").replace(/%.*$/, "");
  if (!ipaddr.isValid(bare)) return null;
  const address = ipaddr.process(bare);
  if (address.kind() === "ipv6" && address.match(NAT64 as never))
    return ipaddr.fromByteArray(address.toByteArray().slice(12));
  return address;
}

export interface AddressRules {
  readonly allowed: AllowedNetworks;
  /** Names that may stand for any address, in lower case. */
  readonly allowedHosts: ReadonlySet<string>;
}

/** @throws SignalboxError `forbidden` for a URL's host that is an address which must not be reached */
export function assertHost(hostname: string, rules: AddressRules): void {
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (rules.allowedHosts.has(host)) return;
  const name = host.replace(/\.$/, "");
  const reason = isIP(host) !== 0 ? refusalOf(host, rules.allowed) : null;
  if (reason !== null) throw refused(host, reason);
  const isLocal = name === "localhost" || name.endsWith(".localhost");
  if (isLocal && refusalOf("127.0.0.1", rules.allowed) !== null) throw refused(host, "this machine itself");
}

export function refused(host: string, reason: string): SignalboxError {
  return new SignalboxError("forbidden", `${host} is ${reason}`, {
    hint: "List it in effects.http.allow_addresses or allow_hosts if that is meant.",
  });
}

type LookupDone = (error: Error | null, address: string | LookupAddress[], family?: number) => void;
export type Lookup = (hostname: string, options: LookupOptions, done: LookupDone) => void;

/**
 * A lookup that fails if any of the addresses must not be reached. It is asked for each connection, and the connection
 * goes to what it answers, so a name that changes its address meanwhile gains nothing.
 */
export function guardedLookup(rules: AddressRules, resolve: typeof lookup = lookup): Lookup {
  return (hostname, options, done) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, []);
      const reasons = rules.allowedHosts.has(hostname.toLowerCase())
        ? []
        : addresses
            .map(({ address }) => refusalOf(address, rules.allowed))
            .filter((reason) => reason !== null);
      const [first] = addresses;
      if (reasons[0] !== undefined) done(refused(hostname, reasons[0]), []);
      else if (options.all === true) done(null, addresses);
      else if (first) done(null, first.address, first.family);
      else done(new Error(`${hostname} has no address`), []);
    });
  };
}

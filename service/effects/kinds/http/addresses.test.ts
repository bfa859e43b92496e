import type { lookup } from "node:dns";
import { describe, expect, it } from "vitest";
import { assertHost, guardedLookup, parseNetworks, refusalOf } from "./addresses.ts";

const none = { allowed: [], allowedHosts: new Set<string>() };
const rules = (addresses: string[], hosts: string[] = []) => ({
  allowed: parseNetworks(addresses),
  allowedHosts: new Set(hosts),
});
const hostOf = (host: string) => new URL(`http://${host}/`).hostname;

describe("addresses", () => {
  it.each([
    ...["127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"],
    ...["100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1"],
    ...["::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1"],
    ...["::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1"],
    ...["64:ff9b:1::1", "2002:a00:1::", "2001::1"],
  ])("B17 %s is not reached (security list 10)", (address) => {
    expect(refusalOf(address, [])).not.toBeNull();
    expect(() => assertHost(address, none)).toThrow();
  });

  it("B17 public addresses are reached, also through NAT64", () => {
    for (const address of ["8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"])
      expect(refusalOf(address, [])).toBeNull();
  });

  it.each([
    ...["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "017700000001", "127.0.0.1."],
    ...["[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "localhost", "LOCALHOST.", "a.localhost"],
    ...["0", "169.254.169.254", "2852039166", "①②⑦.⓪.⓪.①"],
  ])("B17 %s is the same address spelt otherwise (security list 10)", (host) => {
    expect(() => assertHost(hostOf(host), none)).toThrow();
  });

  it("R69 what the settings list is reached, and nothing beside it", () => {
    const listed = rules(["10.1.0.0/16", "fd00::/8", "127.0.0.2"]);
    for (const address of ["10.1.2.3", "fd12::1", "127.0.0.2", "::ffff:10.1.2.3"])
      expect(refusalOf(address, listed.allowed)).toBeNull();
    for (const address of ["10.2.0.1", "127.0.0.1", "192.168.0.1", "::1"])
      expect(refusalOf(address, listed.allowed)).not.toBeNull();
    expect(() => assertHost("nas.local", rules([], ["nas.local"]))).not.toThrow();
    expect(() => parseNetworks(["10.1.0.0/99"])).toThrow("10.1.0.0/99 is no address or network");
  });

  it("B17 one private address among several is enough to refuse a name (security list 10)", async () => {
    const resolve = ((_name: string, _options: object, done: (...given: unknown[]) => void) =>
      done(null, [
        { address: "8.8.8.8", family: 4 },
        { address: "10.0.0.1", family: 4 },
      ])) as unknown as typeof lookup;
    const found = (list: ReturnType<typeof rules>) =>
      new Promise((settle) => {
        guardedLookup(list, resolve)("api.example.com", { all: true }, (error, addresses) =>
          settle(error?.message ?? addresses),
        );
      });
    expect(await found(rules([]))).toBe("api.example.com is a private address");
    expect(await found(rules(["10.0.0.0/8"]))).toHaveLength(2);
    expect(await found(rules([], ["api.example.com"]))).toHaveLength(2);
  });
});

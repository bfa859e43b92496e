const CENTRAL_ENTRY = 0x02014b50;
const END_OF_CENTRAL = 0x06054b50;

/** Names of the files in a zip archive without extensions of the format, such as a .vsix. */
export function readZipNames(zip: Buffer): string[] {
  let end = zip.length - 22;
  while (end > 0 && zip.readUInt32LE(end) !== END_OF_CENTRAL) end -= 1;
  const names: string[] = [];
  let at = zip.readUInt32LE(end + 16);
  while (zip.readUInt32LE(at) === CENTRAL_ENTRY) {
    const length = zip.readUInt16LE(at + 28);
    names.push(zip.toString("utf8", at + 46, at + 46 + length));
    at += 46 + length + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return names;
}

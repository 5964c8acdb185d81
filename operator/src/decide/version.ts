/** Tag or digest of an image reference, for people: `v1.2` of `host:5000/a/b:v1.2`; `latest` where neither is given. */
export function versionOf(image: string): string {
  const at = image.indexOf('@');
  if (at !== -1) return image.slice(at + 1);
  const colon = image.lastIndexOf(':');
  return colon > image.lastIndexOf('/') ? image.slice(colon + 1) : 'latest';
}

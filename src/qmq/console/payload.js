// Payloads: any bytes, base64 in JSON.

const HEX_BYTES_MAX = 8192;
const TEXT_CHARS_MAX = 200_000;
const ROW_BYTES = 16;

export function bytesOf(base64) {
  const binary = atob(base64 ?? "");
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

export function base64Of(text) {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

// The text that bytes are, or null if they are none that people can read. With `stream` they may
// end within a character.
/** @param {TextDecodeOptions} [options] */
export function textOf(data, options) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data, options);
    return /[\u0000-\u0008\u000e-\u001f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

// JSON with its lines indented, or null if a text is no JSON. Numbers stay as they were written
// where they are exact; a text whose numbers are not is left alone.
export function jsonOf(text) {
  if (text === null || !/^\s*[[{"]/.test(text)) return null;
  try {
    const value = JSON.parse(text);
    return /\d{16,}/.test(text) ? null : JSON.stringify(value, null, 2);
  } catch {
    return null;
  }
}

export function hexOf(data) {
  const rows = [];
  const shown = data.subarray(0, HEX_BYTES_MAX);
  for (let at = 0; at < shown.length; at += ROW_BYTES) {
    const row = [...shown.subarray(at, at + ROW_BYTES)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0"));
    const left = hex.slice(0, 8).join(" ").padEnd(23);
    const right = hex.slice(8).join(" ").padEnd(23);
    const ascii = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·"));
    rows.push(`${at.toString(16).padStart(6, "0")}  ${left}  ${right}  ${ascii.join("")}`);
  }
  if (data.length > HEX_BYTES_MAX) rows.push(`… ${data.length - HEX_BYTES_MAX} more bytes`);
  return rows.join("\n");
}

export const cut = (text) =>
  text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)}\n… ${text.length - TEXT_CHARS_MAX} more characters` : text;

// One line of a payload for a list.
export function preview(base64, charsMax = 160) {
  // Four characters of base64 are three bytes; a text that is cut may end within a character.
  const head = bytesOf((base64 ?? "").slice(0, charsMax * 4));
  const text = textOf(head, { stream: true });
  if (text === null) {
    return [...head.subarray(0, 24)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  }
  return text.replace(/\s+/g, " ").slice(0, charsMax);
}

export const sizeOf = (base64) => {
  const text = base64 ?? "";
  return Math.floor((text.length * 3) / 4) - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
};

/** JSON for one node of a tree: members in restic's order, empty ones left out (format spec §10). */
import { encodeBase64 } from './base64.ts'
import { quoteName } from './go-quote.ts'
import { encodeJson, encodeJsonString, type JsonValue } from './json.ts'
import { compareRawNames, encodeRawName, isWellFormedName } from './raw-name.ts'
import { formatTime } from './time.ts'
import type { ExtendedAttribute, Node } from './tree.ts'

/** Any character that Go's quoting or JSON might escape. */
const SUSPICIOUS_IN_NAME = /[^ !#-%'-;=?-[\]-~]/

export function encodeNode(node: Node): string {
  return encodeNodeHead(node) + encodeNodeTail(node)
}

/** All that comes before the content: what can be told of an entry without reading it. */
export function encodeNodeHead(node: Node): string {
  const mtime = formatTime(node.mtime)
  const atime = node.atime === node.mtime ? mtime : formatTime(node.atime)
  const ctime = node.ctime === node.mtime ? mtime : formatTime(node.ctime)
  let json = `{"name":${encodeName(node.name)},"type":"${node.type}"`
  if (node.mode !== 0) json += `,"mode":${node.mode}`
  json += `,"mtime":"${mtime}","atime":"${atime}","ctime":"${ctime}","uid":${node.uid},"gid":${node.gid}`
  if (node.user !== '') json += `,"user":${encodeJsonString(node.user)}`
  if (node.group !== '') json += `,"group":${encodeJsonString(node.group)}`
  if (node.inode !== 0n) json += `,"inode":${node.inode}`
  if (node.deviceId !== 0n) json += `,"device_id":${node.deviceId}`
  if (node.size !== 0) json += `,"size":${node.size}`
  if (node.links !== 0) json += `,"links":${node.links}`
  if (node.linkTarget !== '') json += encodeLinkTarget(node.linkTarget)
  if (node.extendedAttributes.length > 0) json += encodeExtendedAttributes(node.extendedAttributes)
  if (node.genericAttributes !== undefined) json += encodeGenericAttributes(node.genericAttributes)
  if (node.device !== 0n) json += `,"device":${node.device}`
  return json
}

function encodeNodeTail(node: Node): string {
  let json = encodeContent(node.content)
  if (node.subtree !== null) json += `,"subtree":"${node.subtree}"`
  if (node.error !== '') json += `,"error":${encodeJsonString(node.error)}`
  return `${json}}`
}

function encodeName(name: string): string {
  return SUSPICIOUS_IN_NAME.test(name) ? encodeJsonString(quoteName(name)) : `"${name}"`
}

/** A target that is not valid UTF-8 is also stored as its bytes, which count when it is read. */
function encodeLinkTarget(target: string): string {
  const json = `,"linktarget":${encodeJsonString(target)}`
  return isWellFormedName(target) ? json : `${json},"linktarget_raw":"${encodeBase64(encodeRawName(target))}"`
}

function encodeExtendedAttributes(attributes: readonly ExtendedAttribute[]): string {
  const encoded = attributes.map(
    ({ name, value }) => `{"name":${encodeJsonString(name)},"value":"${encodeBase64(value)}"}`,
  )
  return `,"extended_attributes":[${encoded.join(',')}]`
}

function encodeGenericAttributes(attributes: Readonly<Record<string, JsonValue>>): string {
  const entries = Object.entries(attributes).toSorted(([a], [b]) => compareRawNames(a, b))
  if (entries.length === 0) return ''
  const encoded = entries.map(([name, value]) => `${encodeJsonString(name)}:${encodeJson(value)}`)
  return `,"generic_attributes":{${encoded.join(',')}}`
}

function encodeContent(content: Node['content']): string {
  if (content === null) return ',"content":null'
  return content.length === 0 ? ',"content":[]' : `,"content":["${content.join('","')}"]`
}

/** How fast the kernels are, beside their twins in plain TypeScript and the libraries that do the same. */
import { createCipheriv } from 'node:crypto'
import { SIMD, SCALAR } from '../../src/crypto/poly1305-kernel.generated.ts'
import { Chunker } from '../../src/chunker/chunker.ts'
import { kernelScannerFactory } from '../../src/chunker/rabin-kernel.ts'
import { RELAXED_SIMD, SIMD as PLAIN_SIMD } from '../../src/chunker/rabin-kernel.generated.ts'
import { createPlainScanner, type ScannerFactory } from '../../src/chunker/rabin-scan.ts'
import { nativeCrypto } from '../../src/crypto/native.ts'
import { loadOpenSsl } from '../../src/crypto/openssl.ts'
import { createKernelPoly1305 } from '../../src/crypto/poly1305-kernel.ts'
import { poly1305 } from '../../src/crypto/poly1305.ts'
import { portableCrypto } from '../../src/crypto/portable.ts'
import { createZstd } from '../../src/repo/compression.ts'
import { randomBytes } from '../support/many-files.ts'

const SIZES = [1_500_000, 65_536, 4096]
const SECONDS = 0.4
const POLYNOMIAL = 0x3da3358b4dc173n

type Kernel = (data: Uint8Array) => unknown

export function benchKernels(): void {
  const key = randomBytes(1, 32)
  const iv = randomBytes(2, 16)
  const target = new Uint8Array(Math.max(...SIZES))
  const compressed = new Uint8Array(createZstd('auto').bound(target.length))
  const zstd = createZstd('auto')
  report('SHA-256, node:crypto', (data) => nativeCrypto.sha256(data))
  report('SHA-256, @noble', (data) => portableCrypto.sha256(data))
  const direct = loadOpenSsl()
  if (direct !== undefined)
    report('AES-256-CTR, OpenSSL directly', (data) =>
      direct.aes256Ctr(key, iv, data, target.subarray(0, data.length)),
    )
  report('AES-256-CTR, node:crypto', (data) => createCipheriv('aes-256-ctr', key, iv).update(data))
  report('AES-256-CTR, @noble', (data) =>
    portableCrypto.aes256Ctr(key, iv, data, target.subarray(0, data.length)),
  )
  for (const [name, mac] of Object.entries({
    'Poly1305, OpenSSL directly': direct?.poly1305.bind(direct),
    'Poly1305, WebAssembly SIMD': createKernelPoly1305(SIMD),
    'Poly1305, WebAssembly scalar': createKernelPoly1305(SCALAR),
    'Poly1305, plain TypeScript': poly1305,
    'Poly1305, @noble': (oneTimeKey: Uint8Array, data: Uint8Array) =>
      portableCrypto.poly1305(oneTimeKey, data),
  })) {
    if (mac !== undefined) report(name, (data) => mac(key, data))
  }
  for (const [name, factory] of Object.entries({
    'Rabin scan, WebAssembly relaxed SIMD': kernelScannerFactory(RELAXED_SIMD),
    'Rabin scan, WebAssembly SIMD': kernelScannerFactory(PLAIN_SIMD),
    'Rabin scan, plain TypeScript': createPlainScanner,
  })) {
    if (factory !== undefined) report(name, scanning(factory))
  }
  report(`zstd level 3 on noise, ${zstd.implementation}`, (data) => zstd.compressInto(compressed, data))
}

/** Every byte is scanned: the chunker would skip what lies before a chunk's minimum. */
function scanning(factory: ScannerFactory): Kernel {
  const chunker = new Chunker(POLYNOMIAL, factory)
  const start = new Uint8Array(600_000)
  chunker.next(start, 0, start.length)
  return (data) => chunker.next(data, 0, data.length)
}

function report(name: string, kernel: Kernel): void {
  const speeds = SIZES.map((size) => {
    const data = randomBytes(size, size)
    kernel(data)
    const started = performance.now()
    let bytes = 0
    while (performance.now() - started < SECONDS * 1000) {
      kernel(data)
      bytes += size
    }
    return Math.round(bytes / 1000 / (performance.now() - started))
  })
  process.stdout.write(`${name.padEnd(40)} ${speeds.join(' / ')} MB/s at ${SIZES.join(' / ')} bytes\n`)
}

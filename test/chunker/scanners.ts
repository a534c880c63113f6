/** All that can look for cut points: the plain one, every build of the kernel this machine runs, and the default. */
import { RELAXED_SIMD, SIMD } from '../../src/chunker/rabin-kernel.generated.ts'
import { createScanner, kernelScannerFactory } from '../../src/chunker/rabin-kernel.ts'
import { createPlainScanner, type ScannerFactory } from '../../src/chunker/rabin-scan.ts'

const relaxed = kernelScannerFactory(RELAXED_SIMD)

export const SCANNERS: { name: string; createScanner: ScannerFactory }[] = [
  { name: 'plain', createScanner: createPlainScanner },
  { name: 'SIMD kernel', createScanner: kernelScannerFactory(SIMD)! },
  // Node 20 does not know these instructions.
  ...(relaxed === undefined ? [] : [{ name: 'relaxed SIMD kernel', createScanner: relaxed }]),
  { name: 'default', createScanner },
]

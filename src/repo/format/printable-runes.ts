/**
 * The characters Go's strconv prints as they are, by Unicode 15.0 (format spec §11). Embedded, because the names in a
 * tree must come out the same for ever: a regular expression would follow the Unicode version of the runtime.
 */

/**
 * 714 ranges of code points: for each, how far after the last range's end it begins, and how much longer than one it
 * is. Numbers are in base 26: lower-case digits, then the last digit in upper case.
 */
const RANGES =
  'bGBBLBbRBbHbILBbbLCFEGBABTBpGBbLCbXCCBcCIbAEFRVBhJBbVCcGCdWOcGCbWCOBbBCABKFbEJcVBgEBHCBCVBGBADDCICBCDIAEBB' +
  'ECYCCBFEBCVBGBBBBBBCABEEBCCDAHDBAHQKCBIBCBVBGBBBECJBCBCCAPDCLHGBCBHCBCVBGBBBECICBCCHCEBBECRKBBFDCBDDBBABBD' +
  'BDCDLEEDCBDCAGAOUFMBCBWBPCIBCBDHBBCCACDCJHVBCBWBJBECIBCBDHBGBBDCJBCMMBCBbYBCBFEPCZBCBRDXBIBACGDAEFBABHGJCC' +
  'McFEbCbLBBABEBXBABWCEBABGBJCDbGcTBbJEbMBbJBOBMbLhPBAFACoMBDCGBABDCbOBDCbGBDCGBABDCOBcEBDCcOCbFDZGdHCFCyPBb' +
  'BDdKHVJXJTMMBCBBMdPCJGJGNBKGdKHbQFcRKbEBLELEADbPCELbREZGKDcJCcMBbCCKGJGNCbEbXcYDbUBeLIcHDODcHHbQCKIbQFuNCF' +
  'CbLCFCHBABABABbECcABOBNCFBSCCBIRXIbURBCbABMDbGPbGPfJEzMZKVcrRCbFBnKFbSBAFACcDHBOXJGBGBGBGBGBGBGBGBeVbIZBdK' +
  'MiFbALFcKBdHCdYFbQBdPBdFMbUBbriQDcCJnJUhBIhUFBBABEYcGDJGcDIcRILGeLLbDDcZBKEbGBcCJNCJCdYYbBKFCFCFJGBGBcHEeV' +
  'CJGqnRMWEbWmnCoBCeBbMGMEFZBEBABBBBBeUQrCCcBHAbGbPGbYBSBDEEBfEEhHDFCFCFCCDGBGNBCLBZBSBBBOCNbIeSFCEbSDdJBMDA' +
  'bVbTfAbCDbWPbBEbJJbDFbQFbDBbKENbQgBCJGbJEbJEbNIbZLLBOBGBBBKBOBGBBcPlYJVKHYFBbPBIcRFCABbRBBDACWBcTIIbWSBBFb' +
  'GDbAFAcMcDETCbXBBFHBCBbCCCEJHIHcLbGbMELJcBDbCCbAFZHDMGdCcUcDbYNbYHbTIJlIbEBbPBCCBcXbQIbPWZbMbBUWJcZEbJJcJB' +
  'ENYHJGcABRIbMJdRBTLRBbUcKGBABDBOBKGcGFJGDBHCBCVBGBBBEBJCBCCCAGAFGCGDEfJdNBEbEcTIJgKcBCbLbIcQLJGMTcFGJcCbAC' +
  'OEWhDcHdWdEMHCACHBBBbDBBCLJJcSHCbTCKbBcTIdENcUHJjMIBbSBNKbCDbFCVBNcVGBBBbRDABBBIIJGFBBBbKBBBFHJlYYHQBbODbB' +
  'dIAPbXNbjMdYeGBELhNdxKdUNbpFQVfyGwKmuBvWHbEBJEdCBJGbDCFKcRKJBGBUFSbaMdMdXcWEcEHQcMELBOjbZIbvPbQInfRDBGBBBl' +
  'EPAbDCCAODIpFdkUeCFMDIHJCDgyYbTCWJeLcIjLKbMCcVIeHVcReSTMTMdIJYfFdGBcSBBCACBCDBLBABGBcMBDCHBGBbBBDBEBADGBnB' +
  'ClFCbaZPEBObqMbEGFiFGBQCGBBBEFcJbHAeIbSDNCJEBmIbERcFFArWbPbcOGBDBBBOBhOCPbPcXEJEBbeFcPcYcIhMDBbABBBACABJBD' +
  'BABAGAEABABABCBBBACABABABABABBBACDBGBDBDBABJBQFCBEBQcABkKbREdVMOCOBOBbKKgRcEbCNbREIHBOFfYblVEQDMDeOEdQGLEA' +
  'PLEcDIJGbNIbDCBdAnBMNCMDIHbTBGINEIHIHfQBcCbLJbnQclfBbGgdTGiNCinPOlbKepJuVcfYhhYFgfFbonhGjF'

let bounds: Uint32Array | undefined

/** Whether Go prints the code point as it is. `"` and `\`, which are always escaped, are not in the table. */
export function isPrintableRune(codePoint: number): boolean {
  bounds ??= decodeRanges()
  // The number of bounds up to the code point is odd exactly within a range.
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((bounds[middle] ?? 0) <= codePoint) low = middle + 1
    else high = middle
  }
  return low % 2 === 1
}

/** First code point of each range and first one after it, in turn. */
function decodeRanges(): Uint32Array {
  const decoded: number[] = []
  let position = 0
  let number = 0
  for (const digit of RANGES) {
    const isLast = digit < 'a'
    number = number * 26 + digit.charCodeAt(0) - (isLast ? 65 : 97)
    if (!isLast) continue
    position += decoded.length % 2 === 0 ? number : number + 1
    decoded.push(position)
    number = 0
  }
  return Uint32Array.from(decoded)
}
